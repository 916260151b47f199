"""A folder of somebody's own videos, with masks or annotation files beside them."""
