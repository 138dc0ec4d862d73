"""From a checkpoint and data to metrics."""
