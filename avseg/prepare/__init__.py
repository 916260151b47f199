"""Shared tools of data sets: building folders of clips, checking them, and jobs in several processes."""
