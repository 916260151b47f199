"""Evaluation of a model or saved predictions on a data set: scores, reports, pictures."""
