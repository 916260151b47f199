"""Looking into a trained QDFormer: which codes its tokens take, when, and of what (`avseg codes`)."""
