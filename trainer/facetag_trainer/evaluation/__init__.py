"""A network measured on labelled images."""
