"""`launch.graph` as a person runs it, and what it is made of."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.graph import attribute_graph
from morning_jax.graph import inspection
from morning_jax.graph import picture
from tests.graph import link_prediction

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _graph():
  return attribute_graph.AttributeGraph(
    np.array(['wine', 'food', 'beer', 'pet', 'car']),
    np.array([[0, 1], [0, 2], [1, 2], [1, 3]], np.int32),
    np.array([3.0, 4.0, 0.71, 1.0], np.float32),
  )


def _bundle(folder, *, edges=True, extra=''):
  files = {
    'accounts.csv': 'account_id,role,category,split\n'
    'b,brand,drink,train\nc,brand,drink,test\nm,influencer,,\n',
    'interactions.csv': 'brand_id,influencer_id\nb,m\nc,m\n',
    'attributes.csv': 'attribute_id,name\n0,wine\n1,food\n2,beer\n3,pet\n',
    'account_attributes.csv': 'role,account_id,attribute_id\n'
    'brand,b,0\nbrand,b,1\ninfluencer,m,2\nbrand,c,3\n',
  }
  if edges:
    files['attribute_graph.csv'] = f'source,target,weight\n0,1,2.5\n{extra}'
  folder.mkdir()
  for name, text in files.items():
    (folder / name).write_text(text)
  return folder


def _launch(*flags):
  env = {**os.environ, 'JAX_PLATFORMS': 'cpu'}
  return subprocess.run(
    [sys.executable, '-m', 'launch.graph', *flags],
    cwd=ROOT,
    env=env,
    capture_output=True,
    text=True,
    check=False,
  )


def test_the_launcher_prints_the_graph_neighbours_and_saves_vectors(tmp_path):
  folder = _bundle(tmp_path / 'bundle', edges=False)
  saved = folder / 'attribute_vectors.txt'
  done = _launch(
    f'--bundle={folder}', '--neighbours=wine', f'--save_vectors={saved}'
  )
  assert done.returncode == 0, done.stderr
  # Of the training pair alone: 0-1, and 0-2 and 1-2 across; not pet.
  assert 'built from the training positives' in done.stdout
  assert 'nodes: 4, of which 1 without an edge' in done.stdout
  assert 'edges: 3 undirected (50.0% of all pairs)' in done.stdout
  assert "neighbours of 'wine', which has 2 edges" in done.stdout
  assert saved.read_text().startswith('4 128\n')
  again = _launch(f'--bundle={folder}', '--neighbours=wine')
  assert 'by stored vector' in again.stdout


@pytest.mark.parametrize(
  'extra, message',
  [
    ('1,9,1.0\n', "row 3: attribute '9' is not in attributes.csv"),
    ('1,2,0\n', "row 3: weight '0' is not a positive finite number"),
    ('1,2,inf\n', "row 3: weight 'inf' is not a positive finite number"),
    ('0,1,2\n', "row 3: the edge from '0' to '1' is already in row 2"),
    ('3,3,2\n', "row 3: an edge from '3' to itself"),
  ],
)
def test_a_mistake_in_the_bundle_ends_in_one_line(tmp_path, extra, message):
  folder = _bundle(tmp_path / 'bundle', extra=extra)
  if extra.startswith('1,9'):  # one through the launcher; it takes seconds
    done = _launch(f'--bundle={folder}')
    assert done.returncode == 2
    assert done.stderr.count('\n') == 1 and done.stderr.startswith('error: ')
    assert message in done.stderr
  else:
    from morning_jax.data.bundle import bundle

    with pytest.raises(errors.UserError, match=message):
      bundle.read_bundle(folder)


def test_lines_name_pairs_and_neighbours():
  graph = _graph()
  assert inspection.strongest_pairs(graph, count=2) == [
    ('wine', 'beer', 4.0),
    ('wine', 'food', 3.0),
  ]
  lines = inspection.summary_lines(graph, pairs=2)
  assert 'nodes: 5, of which 1 without an edge' in lines
  assert lines[-2].split() == ['4.00', 'wine', 'beer']
  bars = [line.split()[3] for line in lines if '#' in line]
  assert sum(map(int, bars)) == graph.num_edges
  vectors = np.array([[1, 0], [0, 1], [2, 1], [-1, 0], [0, 0]], np.float32)
  near, cosine = inspection.nearest(vectors, 0, count=2)
  assert near.tolist() == [2, 1]
  np.testing.assert_allclose(cosine, [2 / 5**0.5, 0], atol=1e-6)
  lines = inspection.neighbour_lines(
    graph, 0, vectors={'before': vectors, 'after': -vectors}, count=2
  )
  assert lines[1].split() == ['by', 'edge', 'weight', 'before', 'after']
  assert lines[2].split()[:4] == ['beer', '4.00', 'beer', '0.894']
  with pytest.raises(errors.UserError, match=r'near: wine'):
    inspection.node_of(graph, 'wines')


def test_a_picture_is_drawn_and_its_mistakes_are_one_line(tmp_path):
  pytest.importorskip('matplotlib')
  for node in (0, 3):
    path = tmp_path / f'{node}.png'
    picture.draw_neighbourhood(_graph(), node, path)
    assert path.read_bytes().startswith(b'\x89PNG')
  with pytest.raises(errors.UserError, match="'car' has no edge to draw"):
    picture.draw_neighbourhood(_graph(), 4, tmp_path / 'car.png')
  for name in ('none/x.png', 'x.nonsense'):
    with pytest.raises(errors.UserError, match='--plot='):
      picture.draw_neighbourhood(_graph(), 0, tmp_path / name)


def test_a_missing_matplotlib_is_one_line(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
  with pytest.raises(errors.UserError, match=r'morning_jax\[report\]'):
    picture.draw_neighbourhood(_graph(), 0, tmp_path / 'x.png')


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
