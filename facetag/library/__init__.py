"""Label photos in the process that asks, without a service."""
