"""Comparison of two models on the same clips: score differences with intervals, and the clips that differ most."""
