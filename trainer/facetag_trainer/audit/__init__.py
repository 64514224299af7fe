"""Find labels of a labelled set that are likely wrong, for a person to review."""
