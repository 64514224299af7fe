"""Calibration: temperatures, age ranges and activation ranges."""
