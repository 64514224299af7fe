"""Serve the endpoints, one file per subject: read the request, call facetag, return the answer."""
