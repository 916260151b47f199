"""What rooms of data sets share: raw material to a folder of clips, what is wrong in one, jobs in several processes."""
