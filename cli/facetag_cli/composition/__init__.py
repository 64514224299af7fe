"""Tell who is in a collection: estimated shares, comparisons and audits."""
