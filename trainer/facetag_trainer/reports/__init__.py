"""What reports share: figures, terms and the model card."""
