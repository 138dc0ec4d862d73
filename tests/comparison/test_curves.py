"""Learning curves and their pictures."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from morning_jax.comparison import compare
from morning_jax.comparison import curves
from morning_jax.comparison import measurement
from tests.comparison import setups


def test_curves_are_drawn(world, tmp_path, monkeypatch):
  pytest.importorskip('matplotlib')
  monkeypatch.setattr(curves, 'SHARES', (0.6, 1.0))
  options = dataclasses.replace(
    setups.OPTIONS, methods=('similarity', 'morning'), curves=curves.KINDS
  )
  recipes = setups.recipes(perspectives=('content',))
  compare.compare(world, recipes, options, tmp_path)
  for kind in curves.KINDS:
    content = (tmp_path / f'{kind}.png').read_bytes()
    assert content.startswith(b'\x89PNG') and len(content) < 100_000
  rows = list(
    csv.DictReader(io.StringIO((tmp_path / 'brands.csv').read_text()))
  )
  maps = {
    float(r['brands']): float(r['mean'])
    for r in rows
    if (r['method'], r['metric']) == ('MORNING', 'map')
  }
  assert len(maps) == 2
  found = json.loads((tmp_path / 'results.json').read_text())
  # With all brands it is the row of the table.
  summary = found['methods']['morning']['summary']['map']
  assert maps[max(maps)] == pytest.approx(summary['mean'])
  epochs = (tmp_path / 'epochs.csv').read_text()
  assert [
    x.split(',')[0] for x in epochs.splitlines() if 'MORNING,map' in x
  ] == [
    '0.0',
    '1.0',
    '2.0',
  ]


def test_shares_that_leave_too_few_brands_are_skipped(world, tmp_path):
  pytest.importorskip('matplotlib')
  few = setups.first_brands(world, 8)
  options = dataclasses.replace(setups.FAST, curves=('brands',))
  found = compare.compare(few, setups.recipes(), options, tmp_path)
  rows = csv.DictReader(io.StringIO((tmp_path / 'brands.csv').read_text()))
  assert sorted({float(r['brands']) for r in rows}) == [2, 3, 4]
  for share in (10, 25):
    assert any(f'the share of {share} % of the' in n for n in found['notes'])
  # Eight brands are too few for an interval; the figures are still there.
  cells = found['methods']['similarity']['summary']
  assert cells['map']['mean'] is not None and cells['map']['low'] is None
  assert f'{cells["map"]["mean"]:.3f} ±-' in (tmp_path / 'table.md').read_text()


def test_a_failure_in_a_curve_costs_a_point_alone(world, tmp_path, monkeypatch):
  pytest.importorskip('matplotlib')
  real = measurement.measure

  def failing(trial, *rest):
    if trial.fold.share == 0.25:
      return measurement.Failure('too few to learn from')
    return real(trial, *rest)

  monkeypatch.setattr(measurement, 'measure', failing)
  options = dataclasses.replace(setups.FAST, curves=('brands',))
  found = compare.compare(world, setups.recipes(), options, tmp_path)
  assert list(found['methods']) == ['random', 'similarity']
  assert any('lacks points: too few to learn' in n for n in found['notes'])
  rows = csv.DictReader(io.StringIO((tmp_path / 'brands.csv').read_text()))
  assert len({r['brands'] for r in rows}) == len(curves.SHARES) - 1


def test_pictures_without_anything_to_draw_are_notes(
  world, tmp_path, capsys, recwarn
):
  pytest.importorskip('matplotlib')
  plain = dataclasses.replace(
    world,
    accounts=dataclasses.replace(
      world.accounts, categories=np.full_like(world.accounts.categories, '')
    ),
  )
  options = dataclasses.replace(
    setups.OPTIONS, methods=('random',), curves=curves.KINDS
  )
  compare.compare(plain, setups.recipes(), options, tmp_path / 'plain')
  compare.compare(world, setups.recipes(), options, tmp_path / 'world')
  assert not list(tmp_path.rglob('*.png'))
  said = capsys.readouterr().err
  assert said.count('--curves=epochs: no picture') == 2
  assert said.count('--curves=brands: no picture') == 2
  assert 'the training brands have no category' in said
  assert '--curves=categories: no picture, as none of its methods' in said
  assert not [w for w in recwarn if w.category is UserWarning]
