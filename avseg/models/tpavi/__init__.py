"""TPAVI: temporal pixel-wise audio-visual interaction (Zhou et al., ECCV 2022 and IJCV 2024)."""
