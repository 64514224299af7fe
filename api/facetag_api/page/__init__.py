"""Serve the page, and tell browsers that wait when a job has changed."""
