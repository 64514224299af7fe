"""Commands that prepare, fit and measure networks, one a file."""
