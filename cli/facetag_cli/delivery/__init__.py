"""Deliver results to the user: lines, the report page with its photos, and a summary."""
