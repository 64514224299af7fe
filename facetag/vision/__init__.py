"""Pixels to faces to attributes, the one shared room that imports TensorFlow and Keras."""
