"""Print and write what commands found."""
