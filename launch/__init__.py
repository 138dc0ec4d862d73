"""launch of morning_jax."""
