"""Holds the commands, one a file, in one folder per chapter of `facetag --help`."""
