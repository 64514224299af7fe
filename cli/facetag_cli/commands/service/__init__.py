"""Define the commands that run the service or a part of it, one per file."""
