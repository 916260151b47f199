"""Training a model from a recipe: the loop, its state, its files."""
