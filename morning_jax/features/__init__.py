"""From what accounts post to the arrays of a bundle."""
