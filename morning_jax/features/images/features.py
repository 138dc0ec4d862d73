"""The image features of a shard of accounts: decode, encode, aggregate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import hashlib
import pathlib

import numpy as np

from morning_jax.features.images import aggregation
from morning_jax.features.images import decoding
from morning_jax.features.images import encoder as encoder_lib
from morning_jax.features.images import options as options_lib

# Mean difference of two thumbnails' colours, in levels of 255, up to which
# pictures of one difference hash are the same. Flat pictures of any colour have
# the same hash.
_SAME_COLOURS = 4.0


@dataclasses.dataclass(frozen=True)
class Post:
  """The pictures of a post.

  Attributes:
    post_id: for messages.
    pictures: where they lie; none for a post without any.
  """

  post_id: str
  pictures: tuple[pathlib.Path, ...]


@dataclasses.dataclass(frozen=True)
class Unreadable:
  """A picture that could not be read.

  Attributes:
    post_id: the post's.
    path: where it lies.
    reason: why, one line.
  """

  post_id: str
  path: pathlib.Path
  reason: str


@dataclasses.dataclass(frozen=True)
class PictureFeatures:
  """What a shard of accounts shows; the same whatever the sharding.

  Attributes:
    values_AxF: float32; NaN for an account without a picture that can be read.
    pictures: how many were there to read.
    reposted: how many of them an account had shown before.
    unreadable: those that could not be read, in the order of the posts.
  """

  values_AxF: np.ndarray
  pictures: int
  reposted: int
  unreadable: tuple[Unreadable, ...]


def picture_features(
  accounts: Sequence[Sequence[Post]],
  encoder: encoder_lib.ImageEncoder,
  options: options_lib.ImageOptions,
) -> PictureFeatures:
  """Computes the image features of accounts.

  A picture that an account shows again, perhaps at another size or quality, is
  encoded once, as it was first shown, and counts each time. A picture that
  can't be read does not count.

  Memory holds the pixels of a few batches, and one vector for each picture that
  is not a re-post.

  Args:
    accounts: the posts of each account of a shard.
    encoder: from `encoders.load(options)`.
    options: `threshold`, `batch_size`, `threads`, `same_bits`.

  Returns:
    The features, one row an account, with what there is to report.
  """
  reading = _Reading(encoder.views, options)
  # Vectors come as the pictures that are read need them.
  vectors = list(
    encoder.encode_all(reading.read(accounts), batch_size=options.batch_size)
  )
  values_AxF = aggregation.aggregate(
    np.stack(vectors) if vectors else np.zeros((1, encoder.size), np.float32),
    reading.rows,
    encoder.groups,
    threshold=options.threshold,
  )
  return PictureFeatures(
    values_AxF=values_AxF,
    pictures=sum(len(p.pictures) for posts in accounts for p in posts),
    reposted=reading.reposted,
    unreadable=tuple(reading.unreadable),
  )


class _Reading:
  """Reads pictures and tells which of them are the same.

  Attributes:
    rows: of each account, of each post, which of the pictures that `read`
      yielded its own are.
    reposted: pictures that an account had shown before.
    unreadable: pictures that could not be read.
  """

  def __init__(
    self,
    views: tuple[decoding.View, ...],
    options: options_lib.ImageOptions,
  ) -> None:
    self._views = views
    self._options = options
    self.rows: list[list[list[int]]] = []
    self.reposted = 0
    self.unreadable: list[Unreadable] = []

  def read(self, accounts: Sequence[Sequence[Post]]) -> Iterator[np.ndarray]:
    """Yields the pixels of each picture that is to be encoded."""
    decoded = decoding.decode_all(
      (path for posts in accounts for post in posts for path in post.pictures),
      self._views,
      threads=self._options.threads,
    )
    row_of: dict[bytes, int] = {}  # the very same pixels, in any account
    for posts in accounts:
      seen = _Seen(self._options.same_bits)
      self.rows.append([])
      for post in posts:
        rows: list[int] = []
        self.rows[-1].append(rows)
        for path in post.pictures:
          picture = next(decoded)
          if isinstance(picture, decoding.Failed):
            self.unreadable.append(
              Unreadable(post.post_id, path, picture.reason)
            )
            continue
          row = seen.find(picture)
          if row is None:
            key = hashlib.sha256(picture.pixels.data).digest()
            known = key in row_of
            row = row_of.setdefault(key, len(row_of))
            seen.add(picture, row)
            if not known:
              yield picture.pixels
          else:
            self.reposted += 1
          rows.append(row)


class _Seen:
  """The pictures of one account, to find a re-posted one among them."""

  def __init__(self, same_bits: int) -> None:
    self._same_bits = same_bits
    self._rows: list[int] = []
    self._hashes: list[int] = []
    self._thumbnails: list[np.ndarray] = []

  def add(self, picture: decoding.Decoded, row: int) -> None:
    """Remembers a picture."""
    self._rows.append(row)
    self._hashes.append(picture.hash)
    self._thumbnails.append(picture.thumbnail.astype(np.int16))

  def find(self, picture: decoding.Decoded) -> int | None:
    """Returns the row of the first picture that is the same, if any."""
    for row, bits, thumbnail in zip(
      self._rows, self._hashes, self._thumbnails, strict=True
    ):
      if (bits ^ picture.hash).bit_count() <= self._same_bits and (
        np.abs(thumbnail - picture.thumbnail).mean() <= _SAME_COLOURS
      ):
        return row
    return None
