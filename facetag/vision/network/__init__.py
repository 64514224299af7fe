"""The network: backbones, heads, calibration and what its outputs mean."""
