"""From files on disk to objects in storage."""
