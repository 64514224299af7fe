"""The comparison of methods against class imbalance."""
