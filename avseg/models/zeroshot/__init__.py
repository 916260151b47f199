"""Audio-visual segmentation without training: name what is heard, find it, mask it, follow it, switch it with the sound."""
