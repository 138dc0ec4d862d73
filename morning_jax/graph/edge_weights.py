"""The weights of edges: as text, and of edges listed in both directions."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from morning_jax.core import errors

# Sums and squares of these stay finite in float32.
_LEAST, _MOST = 1e-15, 1e15
_NUMBER = re.compile(r'[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?')
# Two weights are one where rounding to a decimal explains the difference: 0.05,
# of weights below 1.7 less (0.7 and 0.7071). Counts of the same attributes in
# two orders differ by more, however large they are: a root has variance 1/8.
_ROUNDING = 0.051
_SMALL_ROUNDING = 0.03


@dataclasses.dataclass(frozen=True)
class Folded:
  """Undirected edges, each once.

  Attributes:
    edges_Ex2: int32 (i, j) with i < j, sorted.
    weight_E: float32.
    note: how edges that were listed in both directions were read; '' where
      there are none.
  """

  edges_Ex2: np.ndarray
  weight_E: np.ndarray
  note: str


def parse(text: str) -> float:
  """Returns the weight that a cell holds.

  Raises:
    ValueError: it is not a positive number of a usable size.
  """
  weight = float(text) if _NUMBER.fullmatch(text) else float('nan')
  if _LEAST <= weight <= _MOST:
    return weight
  problem = f'weight {errors.quoted(text)} is not a positive finite number'
  if 0 < weight < float('inf'):
    problem += f' from {_LEAST:g} to {_MOST:g}'
  elif re.fullmatch(r'[0-9]*,[0-9]+', text):
    problem += '; decimals follow a point'
  raise ValueError(problem)


def fold(
  names_V: np.ndarray, edges_Ex2: np.ndarray, weight_E: np.ndarray
) -> Folded:
  """Makes undirected edges of edges that may be listed in both directions.

  An edge that is listed once keeps its weight. Two weights of one edge are
  either one weight written twice, as in a symmetric matrix, or two counts. Then
  each row is a count of its own, found in the order (source, target): the
  authors' file lists (5, 166) with 20.57 and (166, 5) with 0.71. eta w^2 is a
  count (eq. 17) and counts add, so w = sqrt(w1^2 + w2^2).

  This is decided pair by pair: different weights are counts and add, and equal
  ones (but for rounding) are one weight. Equal weights alone can mislead, as
  two attributes that met once in each order are listed twice with the smallest
  weight: 5,572 pairs of the authors' file are. So the pairs above the smallest
  weight are asked what kind of file it is. If most of them differ (in the
  authors' file all 5,888 do), it is one of counts, and equal weights add too.
  A missing or rounded row of a symmetric file changes its own edge at most.

  Args:
    names_V: attribute names, for the note.
    edges_Ex2: node indices (source, target), no (source, target) twice.
    weight_E: positive finite weights.

  Returns:
    The undirected edges.
  """
  weight_E = np.asarray(weight_E, np.float32)
  low_E, high_E = edges_Ex2.min(axis=1), edges_Ex2.max(axis=1)
  key_E = low_E.astype(np.int64) * len(names_V) + high_E
  _, first, pair_E, rows = np.unique(
    key_E, return_index=True, return_inverse=True, return_counts=True
  )
  last = np.zeros_like(first)
  last[pair_E] = np.arange(len(key_E))
  one, two = weight_E[first].astype(np.float64), weight_E[last].astype(float)
  larger = np.maximum(one, two)
  twice = rows == 2
  rounding = np.minimum(_ROUNDING, _SMALL_ROUNDING * larger)
  equal = twice & (np.abs(one - two) <= rounding)
  telling = twice & (larger > weight_E.min(initial=np.inf) + rounding)
  of_counts = 2 * int((telling & equal).sum()) < int(telling.sum())
  adds = twice if of_counts else twice & ~equal
  folded = np.where(
    adds,
    np.sqrt(np.square(one) + np.square(two)),
    np.where(equal, (one + two) / 2, one),
  )
  folded_Ex2 = np.stack([low_E[first], high_E[first]], 1).astype(np.int32)
  note = ''
  if twice.any():
    note = (
      f'{int(twice.sum()):,} of {len(first):,} edges are listed in both'
      f' directions, {int(equal.sum()):,} of them with one weight; '
    )
    if of_counts:
      note += 'the file is one of counts, so both weights of an edge add'
    else:
      note += 'these keep it'
      if adds.any():
        edge = int(adds.argmax())
        ends = [errors.quoted(names_V[i], limit=40) for i in folded_Ex2[edge]]
        note += (
          f'; of {int(adds.sum()):,} the two weights differ and add (of'
          f' {ends[0]} and {ends[1]}: {one[edge]:.4g} and {two[edge]:.4g})'
        )
  return Folded(folded_Ex2, folded.astype(np.float32), note)
