"""The word2vec text format: `count dimensions`, then a line for each vector."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.graph import attribute_graph

# Where a bundle keeps vectors of its attributes.
BUNDLE_FILE = 'attribute_vectors.txt'


def write_vectors(
  path: str | os.PathLike[str],
  tokens: Sequence[str],
  vectors_VxD: np.ndarray,
) -> None:
  """Writes vectors as text; the file appears complete or not at all.

  Args:
    path: the file.
    tokens: what stands before each vector: attribute ids, as the authors do.
    vectors_VxD: float32, written so that reading gives the same numbers.

  Raises:
    GraphError: a token is empty or holds white space, or the file can't be
      written.
  """
  path = pathlib.Path(path)
  for token in tokens:
    if len(str(token).split()) != 1 or str(token) != str(token).strip():
      raise attribute_graph.GraphError(
        f'{path}: the token {str(token)!r} holds white space, which separates'
        ' columns in this format; write ids'
      )
  draft = path.with_name(f'.{path.name}.draft')
  try:
    with draft.open('w', encoding='utf-8') as f:
      f.write(f'{len(vectors_VxD)} {vectors_VxD.shape[1]}\n')
      for token, vector in zip(tokens, vectors_VxD, strict=True):
        numbers = ' '.join(f'{x:.9g}' for x in vector.tolist())
        f.write(f'{token} {numbers}\n')
    draft.replace(path)
  except OSError as e:
    raise attribute_graph.GraphError(f'{path}: {e.strerror or e}') from None


def read_vectors(
  path: str | os.PathLike[str],
) -> tuple[list[str], np.ndarray]:
  """Reads vectors.

  Args:
    path: the file.

  Returns:
    The tokens and their vectors, float32, in the order of the file.

  Raises:
    GraphError: a mistake, with file and row.
  """
  path = pathlib.Path(path)
  tokens: dict[str, int] = {}
  vectors: list[np.ndarray] = []
  try:
    with path.open(encoding='utf-8-sig') as f:
      count, size = _header(path, f.readline())
      for number, line in enumerate(f, 2):
        cells = line.split()
        if not cells:
          continue
        where = f'{path}, row {number}'
        if len(cells) != size + 1 or len(tokens) == count:
          raise attribute_graph.GraphError(
            f'{where}: expected {count:,} rows of a token and {size} numbers'
          )
        try:
          vector = np.array(cells[1:], np.float32)
        except ValueError:
          vector = np.full(size, np.nan, np.float32)
        if not np.isfinite(vector).all():
          raise attribute_graph.GraphError(
            f'{where}: the vector of {cells[0]!r} is not of finite numbers'
          )
        if cells[0] in tokens:
          raise attribute_graph.GraphError(
            f'{where}: {cells[0]!r} stands already in row {tokens[cells[0]]}'
          )
        vectors.append(vector)
        tokens[cells[0]] = number
  except UnicodeDecodeError as e:
    raise attribute_graph.GraphError(
      f'{path}: not UTF-8 text ({e.reason}); the text format is needed, not'
      ' the binary one'
    ) from None
  except OSError as e:
    raise attribute_graph.GraphError(f'{path}: {e.strerror or e}') from None
  if len(tokens) != count:
    raise attribute_graph.GraphError(
      f'{path}: row 1 promises {count:,} vectors, {len(tokens):,} follow'
    )
  return list(tokens), np.stack(vectors)


def _header(path: pathlib.Path, line: str) -> tuple[int, int]:
  try:
    count, size = (int(cell) for cell in line.split())
  except ValueError:
    count, size = 0, 0
  if count < 1 or size < 1:
    raise attribute_graph.GraphError(
      f'{path}, row 1: {line.strip()[:40]!r}; the word2vec text format begins'
      ' with the number of vectors and their size'
    )
  return count, size


def read_attribute_vectors(
  path: str | os.PathLike[str], attributes: accounts_lib.Attributes
) -> tuple[np.ndarray, int]:
  """Reads vectors in the order of a data set's attributes.

  Args:
    path: the file; its tokens are attribute ids or names.
    attributes: what the attributes are called.

  Returns:
    float32 [V, D], zeros for attributes that the file lacks, and how many
    those are.

  Raises:
    GraphError: a mistake in the file, or it knows none of the attributes.
  """
  tokens, vectors = read_vectors(path)
  row_of = {token: row for row, token in enumerate(tokens)}
  columns = (attributes.ids_V, attributes.names_V)
  found = [[row_of.get(str(x), -1) for x in c.tolist()] for c in columns]
  row_V = np.array(max(found, key=lambda rows: sum(r >= 0 for r in rows)))
  if (row_V < 0).all():
    raise attribute_graph.GraphError(
      f'{path}: no token is an id or a name of the attributes; the first is'
      f' {tokens[0]!r}'
    )
  vectors_VxD = vectors[np.maximum(row_V, 0)] * (row_V >= 0)[:, None]
  return vectors_VxD.astype(np.float32), int((row_V < 0).sum())
