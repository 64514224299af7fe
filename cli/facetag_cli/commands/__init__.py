"""Define the commands, one per file, with one folder per chapter of `facetag --help`."""
