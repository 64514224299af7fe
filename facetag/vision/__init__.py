"""Find faces in photos and label their apparent age, gender and race (see README.md here)."""
