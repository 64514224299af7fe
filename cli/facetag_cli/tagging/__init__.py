"""Tag photos: from files, folders and prefixes to jobs, and back to their labels."""
