"""The images of a retraining: which earlier ones are shown again, and in which style."""
