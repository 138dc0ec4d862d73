"""configs of morning_jax."""
