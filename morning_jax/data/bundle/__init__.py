"""The bundle: the on-disk form of a data set (SPEC section 9)."""
