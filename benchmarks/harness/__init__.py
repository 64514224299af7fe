"""What the benchmarks share: photos, servers, ways to label, and the description of the machine."""
