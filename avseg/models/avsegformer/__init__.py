"""AVSegFormer: audio-visual segmentation with queries that the sound makes (Gao et al., AAAI 2024)."""
