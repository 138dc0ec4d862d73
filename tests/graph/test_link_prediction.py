"""Held-out edges, by which node vectors are judged."""

import numpy as np

from morning_jax.graph import attribute_graph
from tests.graph import link_prediction


def test_edges_are_held_out_and_told_apart():
  rng = np.random.default_rng(0)
  low, high = np.triu_indices(20, 1)
  group = np.arange(20) % 2
  pick = group[low] == group[high]
  whole = attribute_graph.AttributeGraph(
    np.arange(20).astype(str),
    np.stack([low[pick], high[pick]], 1).astype(np.int32),
    np.ones(pick.sum(), np.float32),
  )
  split = link_prediction.hold_out_edges(whole, share=0.2, seed=1)
  edges = {tuple(e) for e in whole.edges_Ex2.tolist()}
  left = {tuple(e) for e in split.graph.edges_Ex2.tolist()}
  held = {tuple(e) for e in split.held_out_Ex2.tolist()}
  others = {tuple(e) for e in split.non_edges_Ex2.tolist()}
  assert left | held == edges and not left & held
  assert len(held) == len(others) == 18 and not others & edges
  assert all(i < j for i, j in others)
  groups = np.eye(2, dtype=np.float32)[group]
  assert link_prediction.edge_auc(groups, split) == 1.0
  assert link_prediction.edge_auc(np.ones((20, 2)), split) == 0.5
  noise = rng.normal(size=(20, 40))
  assert 0.2 < link_prediction.edge_auc(noise, split) < 0.8
