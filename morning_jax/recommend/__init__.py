"""The best influencers of a brand: exact top k, encoded catalogues."""
