"""Benchmarks, each beside the limit that the machine itself sets."""
