"""A run on records is the run on arrays: the same bits, in every command."""

import csv
import pathlib
import shutil

import jax
import numpy as np
import pytest

from morning_jax.core import sharding
from morning_jax.data import packing
from morning_jax.data.bundle import bundle
from morning_jax.evaluation import evaluate
from morning_jax.recommend import batch
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters
from morning_jax.recommend import look_alikes
from morning_jax.recommend import recommend
from morning_jax.recommend import stored_vectors
from tests import runs

_STREAM = '--config.data.placement=stream'


def train(data: pathlib.Path, workdir: pathlib.Path, *args: str) -> None:
  """Trains as users do: programs that gather rows and programs that are given
  them round alike because XLA optimizes both."""
  done = runs.launch(
    '--config=configs/morning.py:smoke',
    f'--config.data.bundle={data}',
    '--config.train.epochs=4',
    '--config.evaluation.every_epochs=1.0',
    # A rate that does not know how long the run will be.
    '--config.optimizer.schedule=constant',
    "--config.model.modalities=('text',)",  # compiles faster
    f'--workdir={workdir}',
    *args,
    quick=False,
  )
  assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> pathlib.Path:
  """A run on arrays in memory, and two on records, one resumed half-way."""
  place = tmp_path_factory.mktemp('large')
  arrays, records = place / 'arrays', place / 'records'
  runs.write_bundle(arrays)
  packing.pack(bundle.read_bundle(arrays), records)
  train(arrays, place / 'in_memory')
  train(records, place / 'resumed', _STREAM, '--config.train.epochs=2')
  shutil.copytree(place / 'resumed', place / 'half')
  train(records, place / 'resumed', _STREAM)
  train(records, place / 'streamed', _STREAM)
  return place


def equal(one: dict, other: dict) -> bool:
  return one.keys() == other.keys() and all(
    np.array_equal(one[k], other[k]) for k in one
  )


def test_training_on_records_is_training_on_arrays(place):
  in_memory = runs.final_arrays(place / 'in_memory')
  assert equal(in_memory, runs.final_arrays(place / 'streamed'))
  assert not equal(in_memory, runs.final_arrays(place / 'half'))
  # Not a second time, transformed.
  assert not (place / 'streamed' / 'stream').exists()


def test_a_resumed_run_on_records_is_one_that_was_not_stopped(place):
  assert equal(
    runs.final_arrays(place / 'in_memory'), runs.final_arrays(place / 'resumed')
  )


def test_a_run_on_arrays_goes_on_with_records(place, tmp_path):
  train(place / 'arrays', tmp_path / 'run', '--config.train.epochs=2')
  train(place / 'records', tmp_path / 'run', _STREAM)
  assert equal(
    runs.final_arrays(place / 'in_memory'), runs.final_arrays(tmp_path / 'run')
  )


def test_evaluation_is_the_same(place):
  of_records = evaluate.evaluate(place / 'streamed')
  assert of_records == evaluate.evaluate(place / 'in_memory')
  assert of_records == evaluate.evaluate(
    place / 'in_memory', bundle=str(place / 'records')
  )


@pytest.fixture(scope='module')
def catalogues(place):
  return (
    catalogue_lib.open_catalogue(place / 'streamed'),
    catalogue_lib.open_catalogue(place / 'streamed', place / 'arrays'),
  )


def test_a_catalogue_of_records_is_on_disk_and_the_same(catalogues):
  stored, in_memory = catalogues
  assert stored.is_own_data
  assert in_memory.is_own_data
  for role in (0, 1):
    one, other = stored.side(role), in_memory.side(role)
    assert isinstance(one.vector_NxD, stored_vectors.StoredVectors)
    np.testing.assert_array_equal(one.vector_NxD[:], other.vector_NxD)
    for perspective, has in other.present.items():
      np.testing.assert_array_equal(one.present[perspective], has)


def test_answers_are_the_same(catalogues):
  for name in catalogues[0].brands.ids_N[:3]:
    answers = [recommend.recommend(c, str(name), 7) for c in catalogues]
    assert repr(answers[0]) == repr(answers[1])
  influencer = str(catalogues[0].influencers.ids_N[5])
  similar = [look_alikes.similar(c, influencer) for c in catalogues]
  assert [s.row for s in similar[0]] == [s.row for s in similar[1]]
  profiles = [c.influencer(influencer).profile for c in catalogues]
  assert profiles[0].features.keys() == profiles[1].features.keys()
  for feature, row in profiles[0].features.items():
    np.testing.assert_array_equal(row, profiles[1].features[feature])


def test_the_job_of_all_brands_is_the_same(catalogues, tmp_path):
  wanted = filters.Filters(
    exclude=frozenset([str(catalogues[0].influencers.ids_N[0])])
  )
  found = []
  for number, catalogue in enumerate(catalogues):
    path = tmp_path / f'{number}.csv'
    batch.run(
      catalogue,
      path,
      top_k=4,
      filters=wanted,
      quiet=True,
      mesh=sharding.make_mesh(data=1, devices=jax.devices()[:1]),
    )
    with path.open(encoding='utf-8-sig', newline='') as f:
      rows = list(csv.reader(f))
    # All but the data's path and the date, which stand in the last columns.
    found.append([row[:-3] for row in rows])
  assert len(found[0]) > 4
  assert found[0] == found[1]


def test_an_encoded_catalogue_is_found_again(place, catalogues):
  (folder,) = (place / 'streamed').glob('catalogue-*')
  before = {p.name: p.stat().st_mtime_ns for p in folder.glob('*.npy')}
  assert sorted(before) == ['brands.npy', 'influencers.npy']
  catalogue_lib.open_catalogue(place / 'streamed')
  assert before == {p.name: p.stat().st_mtime_ns for p in folder.glob('*.npy')}


def test_each_device_has_the_rows_of_its_share():
  mesh = sharding.make_mesh(data=4, devices=jax.devices()[:4])
  rows = np.array([5, 3, 9, 1, 0, 2, 4, 4])
  asked = []

  def read(wanted):
    asked.append(wanted)
    return {'x': np.stack([wanted, wanted * 10], axis=1)}

  found = sharding.put_read_rows(read, rows, mesh)['x']
  np.testing.assert_array_equal(found, np.stack([rows, rows * 10], axis=1))
  assert found.sharding.spec == jax.sharding.PartitionSpec(sharding.DATA)
  assert len(asked) == 1  # one read for all devices of the process
