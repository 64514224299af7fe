"""Take images to outcomes: read, decode and label them, for workers and for the library."""
