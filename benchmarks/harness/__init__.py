"""Give the benchmarks what they share: photos, servers, ways to label, and the machine's facts."""
