"""A recipe to a trained model: the loop, its state, its files."""
