"""Attributes of accounts from the nouns of their biographies."""
