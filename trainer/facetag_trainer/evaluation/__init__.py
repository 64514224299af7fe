"""Evaluation of bundles on labelled images."""
