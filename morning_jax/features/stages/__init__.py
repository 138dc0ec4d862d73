"""Work by shards: stored results, and what runs the shards."""
