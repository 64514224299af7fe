"""Results as outsiders read them: image lines, csv rows, composition."""
