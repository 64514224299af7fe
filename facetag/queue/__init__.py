"""The doorbell: Celery messages that say only that a job has work."""
