"""How a raw folder is laid out: the names of its files.

Rows of a CSV and of a Parquet file count from 1, the header of a CSV being row
1; rows of `posts.jsonl` are its lines.
"""

from __future__ import annotations

from morning_jax.core import errors

POSTS = 'posts.jsonl'
POSTS_TABLE = 'posts.parquet'
FOLLOWERS = 'followers.csv'
IMAGES = 'images'


class RawError(errors.UserError):
  """A raw folder that can't be read; one line names file and row."""
