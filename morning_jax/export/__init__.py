"""A trained model as programs that JAX alone can run."""
