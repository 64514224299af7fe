"""The comparison of a candidate with the champion before promotion, and the check of new labels."""
