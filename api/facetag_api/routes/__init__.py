"""The endpoints, one file a subject: each reads its request, calls the ground, shows the answer."""
