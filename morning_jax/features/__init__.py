"""From posts to features: captions, topics, pictures, attributes."""
