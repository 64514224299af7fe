"""Share figures, terms and the model card among reports."""
