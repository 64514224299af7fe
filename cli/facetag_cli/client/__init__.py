"""Find or start a service, and call its HTTP API."""
