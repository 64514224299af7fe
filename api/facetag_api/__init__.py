"""The thin HTTP door to jobs, which installs and runs without TensorFlow."""
