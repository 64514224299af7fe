"""Write results as files that other programs read."""
