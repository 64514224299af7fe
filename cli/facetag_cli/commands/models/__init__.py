"""Define the commands that change the network that labels, one per file."""
