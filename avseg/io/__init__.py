"""Files and media: pictures, sound, video, masks, predictions."""
