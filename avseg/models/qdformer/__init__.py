"""QDFormer (Li et al., CVPR 2024): sound decomposed into quantised tokens, which ask the picture for their sources."""
