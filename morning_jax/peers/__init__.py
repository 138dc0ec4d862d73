"""Other authors' methods, to compare MORNING with."""
