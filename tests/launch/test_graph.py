"""`launch.graph` as a person runs it, and what it is made of."""

import os
import pathlib
import subprocess
import sys

import pytest

from morning_jax.core import errors

ROOT = pathlib.Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize('flag', ['workdir', 'vectors'])
def test_vectors_to_compare_by_are_for_neighbours(tmp_path, flag):
  done = _launch(f'--bundle={_bundle(tmp_path / "b")}', f'--{flag}={tmp_path}')
  assert done.returncode == 2
  assert done.stderr.startswith(f'error: --{flag} says nothing without --neigh')
  assert done.stderr.count('\n') == 1


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
