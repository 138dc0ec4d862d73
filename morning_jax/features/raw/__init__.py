"""The raw folder: accounts, their posts and who follows them."""
