"""A run as one page to read and print, and its cards."""
