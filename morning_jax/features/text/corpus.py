"""Documents as counts of words, many at once, in memory and in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import os
import pathlib
from typing import TypeAlias

import numpy as np

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files

# One document: word numbers, ascending and none twice, and how often each is.
Document: TypeAlias = tuple[np.ndarray, np.ndarray]

_MEMBERS = ('words', 'counts', 'starts')


class CorpusError(errors.UserError):
  """A file of documents that can't be read."""


@dataclasses.dataclass(frozen=True)
class Documents:
  """Some documents, one behind the other.

  Attributes:
    words: int32 [n], word numbers; ascending in a document, none twice.
    counts: float32 [n], above 0.
    starts: int64 [documents + 1], where each document starts, and the end.
  """

  words: np.ndarray
  counts: np.ndarray
  starts: np.ndarray

  def __len__(self) -> int:
    return len(self.starts) - 1

  def __getitem__(self, index: int) -> Document:
    """Returns one document."""
    one = slice(self.starts[index], self.starts[index + 1])
    return self.words[one], self.counts[one]

  def __iter__(self) -> Iterator[Document]:
    return (self[i] for i in range(len(self)))

  @property
  def lengths(self) -> np.ndarray:
    """int64 [documents]: different words of each."""
    return np.diff(self.starts)


# Documents in parts, of which one at a time is in memory. It is read as often
# as an algorithm needs it, so a generator won't do.
Source: TypeAlias = Iterable[Documents]


def collect(documents: Iterable[Document]) -> Documents:
  """Puts documents behind each other.

  Args:
    documents: word numbers and counts of each, see `Document`.
  """
  listed: Sequence[Document] = list(documents)
  lengths = [len(words) for words, _ in listed]
  starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
  empty: list[np.ndarray] = [np.zeros(0)]
  return Documents(
    words=np.concatenate([w for w, _ in listed] or empty).astype(np.int32),
    counts=np.concatenate([c for _, c in listed] or empty).astype(np.float32),
    starts=starts.astype(np.int64),
  )


def join(parts: Sequence[Documents]) -> Documents:
  """Puts the documents of several parts behind each other."""
  if len(parts) == 1:
    return parts[0]
  lengths = [p.lengths for p in parts]
  return Documents(
    words=np.concatenate([p.words for p in parts] or [np.zeros(0, np.int32)]),
    counts=np.concatenate(
      [p.counts for p in parts] or [np.zeros(0, np.float32)]
    ),
    starts=np.concatenate([[0], *lengths]).cumsum(dtype=np.int64),
  )


def take(documents: Documents, rows: np.ndarray) -> Documents:
  """Returns some of the documents.

  Args:
    documents: all.
    rows: int [n], which, in the wanted order.
  """
  lengths = documents.lengths[rows]
  starts = np.concatenate([[0], np.cumsum(lengths)])
  places = np.repeat(documents.starts[:-1][rows] - starts[:-1], lengths)
  places += np.arange(len(places))
  return Documents(
    words=documents.words[places],
    counts=documents.counts[places],
    starts=starts,
  )


def windows(source: Source, size: int) -> Iterator[Documents]:
  """Cuts a source anew, into parts of one size.

  Args:
    source: documents; empty ones are left out.
    size: documents of a part; the last one may have fewer.

  Yields:
    The parts. They don't depend on how the source was cut.
  """
  waiting: list[Documents] = []
  count = 0
  for part in source:
    part = take(part, np.flatnonzero(part.lengths))
    waiting.append(part)
    count += len(part)
    if count < size:
      continue
    joined = join(waiting)
    for first in range(0, count - size + 1, size):
      yield take(joined, np.arange(first, first + size))
    rest = np.arange(count - count % size, count)
    waiting, count = [take(joined, rest)], len(rest)
  if count:
    yield join(waiting)


def write(path: str | os.PathLike[str], documents: Documents) -> None:
  """Writes documents to a file that appears whole or not at all.

  The same documents give the same bytes.

  Args:
    path: the file, an `.npz`.
    documents: what to write.

  Raises:
    OSError: it can't be written.
  """
  files.write_whole(
    path,
    lambda f: np.savez(
      f,
      allow_pickle=False,
      **{m: getattr(documents, m) for m in _MEMBERS},
    ),
  )


def read(path: str | os.PathLike[str]) -> Documents:
  """Reads what `write` wrote.

  Args:
    path: the file.

  Returns:
    The documents.

  Raises:
    CorpusError: it can't be read, or holds something else.
  """
  path = pathlib.Path(path)
  with user_files.open_file(path, error=CorpusError) as f:
    try:
      with np.load(f, allow_pickle=False) as stored:
        documents = Documents(*(stored[m] for m in _MEMBERS))
    except Exception as e:
      # Broken archives raise many types.
      raise CorpusError(
        errors.in_file(path, f'no file of documents ({errors.quoted(e)})')
      ) from None
  _check(path, documents)
  return documents


def _check(path: pathlib.Path, documents: Documents) -> None:
  words, counts, starts = documents.words, documents.counts, documents.starts
  kinds = (words.dtype.kind, counts.dtype.kind, starts.dtype.kind)
  sound = (
    kinds == ('i', 'f', 'i')
    and words.ndim == counts.ndim == starts.ndim == 1
    and len(words) == len(counts)
    and len(starts) > 0
    and starts[0] == 0
    and starts[-1] == len(words)
    and bool((np.diff(starts) >= 0).all())
    and bool((words >= 0).all())
    and bool(((counts > 0) & np.isfinite(counts)).all())
  )
  if not sound:
    raise CorpusError(errors.in_file(path, 'no file of documents'))


@dataclasses.dataclass(frozen=True)
class Files:
  """A source of documents from files, read one at a time.

  Attributes:
    paths: the files, in the order of the documents.
  """

  paths: tuple[pathlib.Path, ...]

  def __iter__(self) -> Iterator[Documents]:
    return map(read, self.paths)
