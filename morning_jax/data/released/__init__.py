"""What the MORNING authors released: feature files and weights."""
