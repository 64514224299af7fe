"""Compares how peers label the same photos: speed, faces found and memory."""
