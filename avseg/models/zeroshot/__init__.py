"""Zero-shot segmentation, in the making: which nouns sound when (no family yet)."""
