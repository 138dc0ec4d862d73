"""The training step compiled for accelerators that are not attached."""
