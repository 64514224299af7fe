"""Define the commands that prepare, fit and measure networks, one per file."""
