"""Show that a folder is labelled once."""
