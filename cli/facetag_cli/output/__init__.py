"""Draw tables and texts of what commands found."""
