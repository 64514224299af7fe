"""The outputs of bundles for the images of a retraining: read by a compiled network, and kept."""
