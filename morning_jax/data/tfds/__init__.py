"""The embedded world as a TFDS data set."""
