"""Object storage, the one place for images, bundles and shards."""
