"""Complete, checked checkpoints, and the folder that they lie in."""
