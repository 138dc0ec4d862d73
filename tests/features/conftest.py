"""One tiny world, written and prepared once."""

import pathlib

import pytest

from tests.features import preparations


@pytest.fixture(scope='session')
def raw_world(tmp_path_factory) -> pathlib.Path:
  """The raw folder of a tiny world."""
  folder = tmp_path_factory.mktemp('raw') / 'world'
  return preparations.write_world(folder)


@pytest.fixture(scope='session')
def prepared_world(raw_world, tmp_path_factory) -> pathlib.Path:
  """Its bundle."""
  bundle = tmp_path_factory.mktemp('prepared') / 'bundle'
  preparations.prepare(raw_world, bundle)
  return bundle
