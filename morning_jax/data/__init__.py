"""From files to arrays: bundles, the embedded world, batches."""
