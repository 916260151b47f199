"""The synthetic world as a data set in memory."""
