"""Table of a model's parameters for the terminal."""

from __future__ import annotations

from typing import Any

import jax
import tabulate


def of_parameters(params: Any) -> str:
  """Lists the parameter arrays with their shapes, sizes and types.

  Args:
    params: pytree of arrays.

  Returns:
    Lines of text, the last of which has the number of parameters.
  """
  leaves = jax.tree_util.tree_leaves_with_path(params)
  rows = [
    [
      jax.tree_util.keystr(path, simple=True, separator='/'),
      ' x '.join(map(str, leaf.shape)),
      f'{leaf.size:,}',
      str(leaf.dtype),
    ]
    for path, leaf in leaves
  ]
  total = sum(leaf.size for _, leaf in leaves)
  rows.append(['total', '', f'{total:,}', ''])
  return tabulate.tabulate(
    rows,
    headers=['parameter', 'shape', 'size', 'type'],
    disable_numparse=True,
    colalign=('left', 'left', 'right', 'left'),
  )
