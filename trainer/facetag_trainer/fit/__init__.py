"""Fitting: losses, batches, schedule, checkpoints."""
