"""The best influencers of a brand: exact top k, and indexes on disk."""
