"""The stages of a preparation, in their order."""
