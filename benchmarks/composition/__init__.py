"""Estimated shares against counted ones, in collections whose shares are known."""
