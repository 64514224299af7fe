"""Commands that label the faces in photos, one a file."""
