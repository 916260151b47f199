"""Two models on the same clips: differences of their figures with intervals, and the clips where they differ most."""
