"""Tables, progress and TensorBoard scalars."""
