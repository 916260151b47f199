"""CATR: combinatorial-dependence audio-queried transformer (Li et al., ACM MM 2023)."""
