"""AVISM: sounding instances, segmented and tracked (Guo et al., CVPR 2025)."""
