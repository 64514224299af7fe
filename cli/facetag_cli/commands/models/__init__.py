"""Commands that change the network that labels, one a file."""
