"""From posts to a bundle: texts, pictures, biographies and audiences."""
