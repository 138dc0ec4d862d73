"""Second-order random walks on the device (node2vec's sampling)."""

from __future__ import annotations

import functools

import flax.struct
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.graph import attribute_graph


@flax.struct.dataclass
class WalkGraph:
  """A graph as the walks read it: CSR, no V x V array.

  Attributes:
    start: int32 [V + 1], where a node's neighbours begin.
    neighbour: int32 [2E], the neighbours of node 0, of node 1, ..., ascending.
    cumulative: float32 [2E], share of the node's weight up to and including
      this neighbour; the last is 1. Float32 resolves shares of 1e-7.
    search_steps: halvings that search the longest neighbour list.
  """

  start: jax.Array
  neighbour: jax.Array
  cumulative: jax.Array
  search_steps: int = flax.struct.field(pytree_node=False)


def walk_graph(graph: attribute_graph.AttributeGraph) -> WalkGraph:
  """Lays a graph out for walking, on the device."""
  senders, receivers, weight = graph.directed()
  degree_V = np.bincount(receivers, minlength=graph.num_nodes)
  start = np.concatenate([[0], np.cumsum(degree_V)])
  total = np.cumsum(weight, dtype=np.float64)
  before_V = np.concatenate([[0.0], total])[start[:-1]]
  strength_V = np.concatenate([[0.0], total])[start[1:]] - before_V
  cumulative = (total - before_V[receivers]) / strength_V[receivers]
  cumulative = cumulative.astype(np.float32)
  cumulative[start[1:][degree_V > 0] - 1] = 1.0
  return WalkGraph(
    start=jnp.asarray(start, jnp.int32),
    neighbour=jnp.asarray(senders),
    cumulative=jnp.asarray(cumulative),
    search_steps=int(degree_V.max()).bit_length(),
  )


def _first(
  array: jax.Array,
  target: jax.Array,
  low: jax.Array,
  high: jax.Array,
  *,
  steps: int,
  after: bool,
) -> jax.Array:
  """Returns the first place in [low, high) whose value is >= target.

  Args:
    array: ascending within each searched range.
    target: [walks], what is looked for.
    low: [walks], starts of the ranges.
    high: [walks], their ends, returned where no value qualifies.
    steps: halvings.
    after: whether the value must be > target.
  """

  def halve(
    _: int, bounds: tuple[jax.Array, jax.Array]
  ) -> tuple[jax.Array, jax.Array]:
    low, high = bounds
    middle = (low + high) // 2
    value = array[jnp.minimum(middle, len(array) - 1)]
    short = (value <= target) if after else (value < target)
    short &= low < high
    return jnp.where(short, middle + 1, low), jnp.where(short, high, middle)

  return jax.lax.fori_loop(0, steps, halve, (low, high))[0]


def _draw(graph: WalkGraph, key: jax.Array, node: jax.Array) -> jax.Array:
  """Draws a neighbour of each node in proportion to the edge weights."""
  uniform = jax.random.uniform(key, node.shape)
  place = _first(
    graph.cumulative,
    uniform,
    graph.start[node],
    graph.start[node + 1],
    steps=graph.search_steps,
    after=True,
  )
  return graph.neighbour[jnp.minimum(place, len(graph.neighbour) - 1)]


def _find(
  graph: WalkGraph, node: jax.Array, other: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Returns the place of `other` among the neighbours, and if it is there."""
  end = graph.start[node + 1]
  place = _first(
    graph.neighbour,
    other,
    graph.start[node],
    end,
    steps=graph.search_steps,
    after=False,
  )
  place_ok = jnp.minimum(place, len(graph.neighbour) - 1)
  return place_ok, (place < end) & (graph.neighbour[place_ok] == other)


def _biased(
  graph: WalkGraph,
  key: jax.Array,
  before: jax.Array,
  node: jax.Array,
  *,
  p: float,
  q: float,
) -> jax.Array:
  """Draws the node after (before, node), in proportion to alpha x weight.

  alpha is 1/p for the way back, 1 for a neighbour of `before`, 1/q for others.
  Rejection: propose by weight, keep with probability alpha / bound. The way
  back, where its alpha is above the bound of the others, is drawn apart, so
  that a small p rejects nothing.
  """
  bound = max(1.0, 1.0 / q)
  back, _ = _find(graph, node, before)
  first = back == graph.start[node]
  share = graph.cumulative[back] - jnp.where(
    first, 0.0, graph.cumulative[jnp.maximum(back - 1, 0)]
  )
  apart = share * max(0.0, 1.0 / p - bound)
  returns_share = apart / (bound + apart)

  def pending(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
    return ~state[1].all()

  def propose(
    state: tuple[jax.Array, jax.Array, jax.Array],
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    attempt, done, chosen = state
    draw_key, keep_key, back_key = jax.random.split(
      jax.random.fold_in(key, attempt), 3
    )
    proposed = _draw(graph, draw_key, node)
    _, near = _find(graph, before, proposed)
    alpha = jnp.where(near, 1.0, 1.0 / q)
    alpha = jnp.where(proposed == before, min(1.0 / p, bound), alpha)
    keep = jax.random.uniform(keep_key, node.shape) * bound < alpha
    returns = jax.random.uniform(back_key, node.shape) < returns_share
    proposed = jnp.where(returns, before, proposed)
    chosen = jnp.where(done, chosen, proposed)
    return attempt + 1, done | keep | returns, chosen

  start = (jnp.int32(0), jnp.zeros(node.shape, bool), node)
  return jax.lax.while_loop(pending, propose, start)[2]


@functools.partial(jax.jit, static_argnames=('length', 'p', 'q'))
def random_walks(
  graph: WalkGraph,
  start: jax.Array,
  key: jax.Array,
  *,
  length: int,
  p: float = 1.0,
  q: float = 1.0,
) -> jax.Array:
  """Walks from each start, all walks one step at a time.

  From t over v, the walk goes on to a neighbour x of v with probability
  proportional to w_vx alpha(t, x): alpha = 1/p where x = t, 1 where x is a
  neighbour of t, 1/q elsewhere. The first step has alpha = 1.

  Args:
    graph: from `walk_graph`.
    start: int32 [walks], start nodes.
    key: random key.
    length: nodes of a walk, the start among them.
    p: how unlikely it is to go back.
    q: how unlikely it is to leave the neighbourhood of the last node.

  Returns:
    int32 [walks, length]; a walk from a node without edges is that node, then
    -1.
  """
  isolated = graph.start[start] == graph.start[start + 1]
  # A node without edges has nowhere to go: such walks start at another node,
  # to run along with the others, and are blanked at the end.
  somewhere = graph.neighbour[0]
  node = jnp.where(isolated, somewhere, start)

  def step(
    state: tuple[jax.Array, jax.Array], index: jax.Array
  ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    before, node = state
    step_key = jax.random.fold_in(key, index)
    if p == 1.0 and q == 1.0:
      following = _draw(graph, step_key, node)
    else:
      following = jax.lax.cond(
        index == 0,
        lambda: _draw(graph, step_key, node),
        lambda: _biased(graph, step_key, before, node, p=p, q=q),
      )
    return (node, following), following

  _, path = jax.lax.scan(step, (node, node), jnp.arange(length - 1))
  path = jnp.where(isolated[:, None], -1, path.T)
  return jnp.concatenate([start[:, None], path], axis=1)
