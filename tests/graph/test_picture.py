"""Pictures of a neighbourhood."""

import sys

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.graph import attribute_graph
from morning_jax.graph import picture


def _graph():
  return attribute_graph.AttributeGraph(
    np.array(['wine', 'food', 'beer', 'pet', 'car']),
    np.array([[0, 1], [0, 2], [1, 2], [1, 3]], np.int32),
    np.array([3.0, 4.0, 0.71, 1.0], np.float32),
  )


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
