"""Define the commands that work with the jobs of a service, one per file."""
