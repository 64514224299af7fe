"""Send photos from the disk to object storage."""
