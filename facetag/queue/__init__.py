"""Ring and answer the doorbell: Celery messages say only that a job has work."""
