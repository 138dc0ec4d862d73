"""The embedded world as posts: captions, pictures, followers."""
