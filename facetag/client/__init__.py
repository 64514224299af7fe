"""Call a running service from Python."""
