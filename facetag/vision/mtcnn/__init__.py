"""Face detection by MTCNN, in batches across photos."""
