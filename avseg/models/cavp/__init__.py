"""CAVP: contrastive audio-visual pairing (Chen et al., "A Closer Look at Audio-Visual Segmentation", CVPR 2024)."""
