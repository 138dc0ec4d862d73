"""Captions: from texts to counts of words."""
