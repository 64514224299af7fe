"""Celery tasks and the pipeline that takes claimed images from their bytes to their result."""
