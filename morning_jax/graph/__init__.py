"""The attribute co-occurrence graph."""
