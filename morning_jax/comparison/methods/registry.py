"""The table of methods: one entry here is one row of the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import difflib

import ml_collections

from morning_jax.comparison.methods import bamir
from morning_jax.comparison.methods import camera
from morning_jax.comparison.methods import catr
from morning_jax.comparison.methods import hptr
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import lambdamart
from morning_jax.comparison.methods import mir
from morning_jax.comparison.methods import morning_rows
from morning_jax.comparison.methods import two_tower
from morning_jax.comparison.methods import untrained
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors

# In the order of the tables; the rows of MORNING, which need its
# configurations, come last.
METHODS: list[interface.Method] = [
  untrained.RANDOM,
  untrained.POPULARITY,
  untrained.SIMILARITY,
  untrained.WHITENED_SIMILARITY,
  lambdamart.METHOD,
  mir.METHOD,
  hptr.METHOD,
  catr.METHOD,
  camera.METHOD,
  bamir.METHOD,
  two_tower.METHOD,
]


def register(method: interface.Method) -> None:
  """Adds a method to the table, behind the others and before MORNING.

  Raises:
    ValueError: its key is taken.
  """
  if method.key in (m.key for m in METHODS) or method.key.startswith('morning'):
    raise ValueError(f'there is a method {method.key!r} already')
  METHODS.append(method)


def table(
  recipes: Mapping[str, ml_collections.ConfigDict],
) -> dict[str, interface.Method]:
  """Lists all methods in the order of the tables.

  Args:
    recipes: variant -> configuration: '' (the default), 'paper', 'release'.

  Returns:
    Key -> method.
  """
  return {m.key: m for m in (*METHODS, *morning_rows.rows(recipes))}


def choose(
  known: Mapping[str, interface.Method],
  wanted: Sequence[str] | None,
  dataset: accounts_lib.Dataset,
) -> tuple[list[interface.Method], list[str]]:
  """Chooses the rows of a table.

  Args:
    known: all methods.
    wanted: keys; None for all that the data and the machine allow.
    dataset: the data set.

  Returns:
    The methods in the order of the table, and a note for each that is left
    out.

  Raises:
    UserError: a key is unknown, or its method can't run here.
  """
  if wanted is not None and not wanted:
    raise errors.UserError(
      f'--methods: names none; there are {", ".join(known)}'
    )
  for key in wanted or ():
    if key not in known:
      near = difflib.get_close_matches(key[:80], known, n=3)
      hint = f'; near: {", ".join(near)}' if near else ''
      raise errors.UserError(
        f'--methods={errors.quoted(key)}: no such method{hint}; there are'
        f' {", ".join(known)}'
      )
  chosen, notes = [], []
  for key, method in known.items():
    if wanted is not None and key not in wanted:
      continue
    reason = method.unavailable(dataset)
    if reason is None:
      chosen.append(method)
    elif wanted is not None:
      raise errors.UserError(f'--methods={key}: {reason}')
    else:
      notes.append(f'{method.name} is left out: {reason}')
  return chosen, notes
