"""The methods of the comparison: other authors' and MORNING."""
