"""Find the photos that are to be labelled, wherever they come from."""
