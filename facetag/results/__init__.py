"""Write results for outsiders: image lines, CSV rows and the composition of a collection."""
