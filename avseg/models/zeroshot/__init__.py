"""Segmentation without training: what is heard is named, found, masked, followed and switched with the sound (in the making)."""
