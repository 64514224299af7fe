"""Decide who may use the service: keys, their scopes and their tenants."""
