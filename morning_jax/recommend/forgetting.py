"""Removes an influencer from what was made of a bundle: an index, a list."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib

import numpy as np

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import forgetting
from morning_jax.recommend import index as index_lib
from morning_jax.recommend import lists


def forget_in_index(
  path: str | os.PathLike[str], place: forgetting.Place
) -> bool:
  """Removes an influencer from an index of the bundle's influencers.

  Rows of an index have no names: they are the bundle's influencers in order. So
  the index comes first and the bundle after it. The note beside an index says
  which row it lost last: a command that was killed in between can be run again.
  What `build_index` has not finished (`.part`) is deleted.

  Args:
    path: the index.
    place: where the influencer stands in the bundle, which has it still.

  Returns:
    Whether the index had it still.

  Raises:
    UserError: it is no index, or one of other influencers.
    OSError: it can't be written; it is as it was.
  """
  path = pathlib.Path(path)
  rows = index_lib.open_index(path)
  note = path.with_name(path.name + '.json')
  left = place.num_of_role - 1
  lost = {'num_rows': left, 'without_row': place.row_of_role}
  if len(rows) == left and _read(note) == lost:
    return False
  _check_rows(path, rows, place.num_of_role)
  path.with_name(path.name + '.part').unlink(missing_ok=True)
  # Before the file: a note that is ahead of it is noticed by the count of rows.
  files.write_json(note, lost)
  stored = rows.view(np.uint16) if rows.dtype.itemsize == 2 else rows
  forgetting.without_row(stored, place.row_of_role, path)
  return True


def check_index(path: str | os.PathLike[str], num_influencers: int) -> None:
  """Checks that an index has a row for each influencer of the bundle.

  One from which nobody has to be removed may be of another bundle, or still
  have somebody who was removed from the bundle alone.

  Args:
    path: the index.
    num_influencers: of the bundle.

  Raises:
    UserError: it is no index, or has another number of rows.
  """
  _check_rows(pathlib.Path(path), index_lib.open_index(path), num_influencers)


def _check_rows(path: pathlib.Path, rows: np.ndarray, wanted: int) -> None:
  if len(rows) != wanted:
    raise errors.UserError(
      errors.in_file(
        path,
        f'has {len(rows):,} rows, the bundle {wanted:,} influencers; it is an'
        ' index of another bundle, or of this one before somebody was removed:'
        ' delete it and build it again',
      )
    )


def _read(note: pathlib.Path) -> object:
  with contextlib.suppress(OSError, ValueError, RecursionError):
    found: object = json.loads(note.read_text('utf-8'))
    return found
  return None


def exclude(path: str | os.PathLike[str], account_id: str) -> bool:
  """Adds an influencer to a file of those who are left out of rankings.

  Args:
    path: the file, a name a line; made where there is none.
    account_id: the influencer.

  Returns:
    Whether it was not in the file yet.

  Raises:
    UserError: the file can't be read.
    OSError: it can't be written.
  """
  path = pathlib.Path(path)
  names = lists.read_ids(path) if os.path.lexists(path) else frozenset()
  if account_id in names:
    return False
  text = path.read_text('utf-8-sig') if path.exists() else ''
  if text and not text.endswith('\n'):
    text += '\n'
  files.write_text(path, f'{text}{account_id}\n')
  return True
