"""Programs that print figures or make sample photos; no test asserts what they print."""
