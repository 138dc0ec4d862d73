"""Draws an attribute with its strongest neighbours."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from morning_jax.core import errors
from morning_jax.graph import attribute_graph
from morning_jax.graph import inspection

_INK = '#22313f'
_ACCENT = '#c0392b'
_WEAK, _STRONG = 0.6, 7.0  # line widths in points
_GREY_EDGES = 2  # for each neighbour; all of them would be a tangle


def draw_neighbourhood(
  graph: attribute_graph.AttributeGraph,
  node: int,
  path: str | os.PathLike[str],
  *,
  count: int = 16,
) -> None:
  """Draws an attribute in the middle and its heaviest neighbours around it.

  Widths grow with edge weights. The heaviest edges among the neighbours are
  drawn grey behind, and neighbours that are linked strongly are side by side.

  Args:
    graph: the graph.
    node: the attribute in the middle.
    path: where the picture goes; its ending decides the kind (.png, .svg).
    count: how many neighbours.

  Raises:
    GraphError: matplotlib is not installed, the attribute has no edge, or the
      picture can't be written.
  """
  path = pathlib.Path(path)
  try:
    from matplotlib.backends import backend_agg
    from matplotlib.figure import Figure
  except ImportError:
    raise attribute_graph.GraphError(
      "a picture needs matplotlib: pip install 'morning_jax[report]'"
    ) from None
  others, weight = inspection.linked(graph, node)
  if not len(others):
    raise attribute_graph.GraphError(
      f'attribute {errors.quoted(graph.names_V[node])} has no edge to draw'
    )
  total = len(others)
  others, weight = others[:count], weight[:count]
  between = _weights_between(graph, others)
  order = _ring(between)
  others, weight = others[order], weight[order]
  between = between[np.ix_(order, order)]
  angle = np.pi / 2 - 2 * np.pi * np.arange(len(others)) / len(others)
  place = np.stack([np.cos(angle), np.sin(angle)], 1)
  heaviest = max(float(weight.max()), float(between.max()))

  figure = Figure(figsize=(9, 8.4), dpi=130, facecolor='white')
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_axes((0.02, 0.02, 0.96, 0.88))
  axes.set_axis_off()
  axes.set_aspect('equal')
  axes.set_xlim(-1.6, 1.6)
  axes.set_ylim(-1.4, 1.35)

  def width(w: float) -> float:
    return _WEAK + (_STRONG - _WEAK) * w / heaviest

  pairs = np.argwhere(np.triu(between))
  heavy = np.argsort(-between[tuple(pairs.T)], kind='stable')
  for i, j in pairs[heavy[: _GREY_EDGES * len(others)]]:
    axes.plot(
      place[[i, j], 0],
      place[[i, j], 1],
      color='#7f8c8d',
      linewidth=width(float(between[i, j])),
      alpha=0.3,
      zorder=1,
      solid_capstyle='round',
    )
  for at, w in zip(place, weight.tolist(), strict=True):
    axes.plot(
      [0, at[0]],
      [0, at[1]],
      color=_ACCENT,
      linewidth=width(w),
      alpha=0.85,
      zorder=2,
      solid_capstyle='round',
    )
  axes.scatter(place[:, 0], place[:, 1], s=70, color=_INK, zorder=3)
  axes.scatter([0], [0], s=240, color=_ACCENT, zorder=4)
  names = graph.names_V
  for at, a, n, w in zip(
    place, angle.tolist(), others.tolist(), weight.tolist(), strict=True
  ):
    flat = abs(np.cos(a)) < 0.1  # straight above or below the middle
    axes.text(
      1.08 * at[0],
      1.08 * at[1],
      f'{names[n]} ({w:.2f})',
      ha='center' if flat else 'left' if at[0] > 0 else 'right',
      va='bottom' if flat and at[1] > 0 else 'top' if flat else 'center',
      fontsize=10.5,
      color=_INK,
      zorder=5,
    )
  axes.text(
    0,
    0.09,
    str(names[node]),
    ha='center',
    va='bottom',
    fontsize=13,
    fontweight='bold',
    color=_INK,
    zorder=6,
    bbox={'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.85, 'pad': 2},
  )
  figure.text(
    0.5,
    0.955,
    f'{names[node]}: its {len(others)} heaviest edges of {total:,}',
    ha='center',
    fontsize=14,
    color=_INK,
  )
  figure.text(
    0.5,
    0.922,
    'line width and the number in brackets: edge weight;'
    ' grey: the heaviest edges among the neighbours',
    ha='center',
    fontsize=9.5,
    color='#5d6d7e',
  )
  try:
    figure.savefig(path, bbox_inches='tight', pad_inches=0.25)
  except (OSError, ValueError) as e:
    reason = getattr(e, 'strerror', None) or e
    raise attribute_graph.GraphError(
      errors.in_file(f'--plot={path}', str(reason))
    ) from None


def _weights_between(
  graph: attribute_graph.AttributeGraph, nodes: np.ndarray
) -> np.ndarray:
  """Returns the weights among a few nodes, symmetric; 0 where no edge is."""
  local_V = np.full(graph.num_nodes, -1)
  local_V[nodes] = np.arange(len(nodes))
  ends = local_V[graph.edges_Ex2]
  inside_E = (ends >= 0).all(axis=1)
  between = np.zeros((len(nodes), len(nodes)))
  between[ends[inside_E, 0], ends[inside_E, 1]] = graph.weight_E[inside_E]
  return between + between.T


def _ring(between: np.ndarray) -> np.ndarray:
  """Orders nodes around a circle: each next to its strongest free partner."""
  order = [0]
  free = set(range(1, len(between)))
  while free:
    last = order[-1]
    best = max(sorted(free), key=lambda n: between[last, n])
    order.append(best)
    free.remove(best)
  return np.array(order)
