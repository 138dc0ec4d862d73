"""Ranking losses, on one device and on a ring of them."""
