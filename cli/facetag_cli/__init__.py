"""The facetag command, one file for each subcommand."""
