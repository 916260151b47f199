"""Adapters to open weights of the Hugging Face Hub; what they need is imported where it is used."""
