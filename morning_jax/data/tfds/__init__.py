"""The embedded world as a TFDS data set; the only room that imports TFDS."""
