"""Compares methods on the same folds with one protocol."""
