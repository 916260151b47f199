"""Scores of tracks of whole videos: mAP, HOTA and FSLA, all of one table a video."""
