"""Flax Linen modules of MORNING."""
