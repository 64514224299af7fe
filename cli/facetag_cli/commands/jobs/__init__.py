"""Commands that work with the jobs of a service, one a file."""
