"""File formats of photos: what a file says that it is, and whether it is whole."""
