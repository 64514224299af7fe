"""Accept jobs and return results over HTTP, without TensorFlow."""
