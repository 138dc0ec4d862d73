"""The embedded world: a seeded data set with a planted preference."""
