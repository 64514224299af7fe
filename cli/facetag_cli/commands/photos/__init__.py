"""Define the commands that label the faces in photos, one per file."""
