"""A model or saved predictions against a data set: scores, reports, pictures."""
