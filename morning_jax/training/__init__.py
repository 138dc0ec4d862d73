"""Training: the loop, its step, and what the step reads."""
