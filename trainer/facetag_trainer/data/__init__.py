"""Training data: shards, cleaning, splits and the crop cache."""
