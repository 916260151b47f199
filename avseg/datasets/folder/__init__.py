"""Your own videos in a folder, with masks or annotation files next to them."""
