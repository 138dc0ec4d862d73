"""The accounts' features on disk, and batches read ahead of the device."""
