"""Programs that print figures or write sample photos; no test asserts the figures."""
