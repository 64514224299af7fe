"""Exploratory analysis of training shards."""
