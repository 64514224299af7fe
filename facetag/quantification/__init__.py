"""Quantification: shares of groups, corrected for the labeller's own known errors."""
