"""Keep images, bundles and shards in object storage."""
