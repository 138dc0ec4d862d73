"""The word2vec text format: `count dimensions`, then a line for each vector."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib
import re
from typing import BinaryIO

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files
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
    tokens: what comes before each vector: attribute ids, as the authors do.
    vectors_VxD: float32, written so that reading gives the same numbers.

  Raises:
    GraphError: a token is empty or holds white space, or the file can't be
      written.
  """
  for token in tokens:
    if len(str(token).split()) != 1 or str(token) != str(token).strip():
      raise attribute_graph.GraphError(
        errors.in_file(
          path,
          f'the token {errors.quoted(token)} holds white space, which separates'
          ' columns in this format; write ids',
        )
      )

  def write(file: BinaryIO) -> None:
    file.write(f'{len(vectors_VxD)} {vectors_VxD.shape[1]}\n'.encode())
    for token, vector in zip(tokens, vectors_VxD, strict=True):
      numbers = ' '.join(f'{x:.9g}' for x in vector.tolist())
      file.write(f'{token} {numbers}\n'.encode())

  try:
    files.write_whole(path, write)
  except OSError as e:
    raise attribute_graph.GraphError(
      errors.in_file(path, e.strerror or str(e))
    ) from None


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

  def mistake(problem: str, row: int | None) -> attribute_graph.GraphError:
    return attribute_graph.GraphError(errors.in_file(path, problem, row=row))

  lines = user_files.text_lines(path, error=attribute_graph.GraphError)
  _, first = next(lines, (1, ''))
  count, size = _header(path, first)
  tokens: dict[str, int] = {}
  vectors: list[np.ndarray] = []
  for number, line in lines:
    cells = line.split()
    if not cells:
      continue
    if len(cells) != size + 1 or len(tokens) == count:
      raise mistake(
        f'expected {count:,} rows of a token and {size:,} numbers', number
      )
    vector = _vector(cells[1:])
    if not np.isfinite(vector).all():
      raise mistake(
        f'the vector of {errors.quoted(cells[0])} is not of finite numbers',
        number,
      )
    seen = tokens.setdefault(cells[0], number)
    if seen != number:
      raise mistake(
        f'{errors.quoted(cells[0])} is already in row {seen}', number
      )
    vectors.append(vector)
  if len(tokens) != count:
    raise mistake(
      f'row 1 promises {count:,} vectors, {len(tokens):,} follow', None
    )
  return list(tokens), np.stack(vectors)


def _vector(cells: list[str]) -> np.ndarray:
  """Returns the numbers as float32, NaN where they are none."""
  try:
    with np.errstate(all='ignore'):
      return np.array(cells, np.float64).astype(np.float32)
  except ValueError:
    return np.full(len(cells), np.nan, np.float32)


def _header(path: pathlib.Path, line: str) -> tuple[int, int]:
  found = re.fullmatch(r'([0-9]{1,12})\s+([0-9]{1,12})', line.strip())
  count, size = (int(found[1]), int(found[2])) if found else (0, 0)
  if count < 1 or size < 1:
    raise attribute_graph.GraphError(
      errors.in_file(
        path,
        f'{errors.quoted(line.strip(), limit=40)}; the word2vec text format'
        ' begins with the number of vectors and their size',
        row=1,
      )
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
      errors.in_file(
        path,
        'no token is an id or a name of the attributes; the first is'
        f' {errors.quoted(tokens[0])}',
      )
    )
  vectors_VxD = vectors[np.maximum(row_V, 0)] * (row_V >= 0)[:, None]
  return vectors_VxD.astype(np.float32), int((row_V < 0).sum())
