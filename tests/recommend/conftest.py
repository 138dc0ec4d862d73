"""One trained model, and catalogues that several modules ask."""

import functools

import pytest

from morning_jax.recommend import catalogue as catalogue_lib
from tests import runs
from tests.recommend import models


@pytest.fixture(scope='session')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


@pytest.fixture(scope='session')
def workdir(bundle, tmp_path_factory):
  """A run of a model that takes attribute lists."""
  folder = tmp_path_factory.mktemp('runs') / 'trained'
  config = runs.config(bundle, model__attribute__encoder='lookup')
  runs.run(config, folder)
  return folder


@pytest.fixture(scope='session')
def trained_catalogue(workdir):
  """The catalogue of the trained model and its own data."""
  return catalogue_lib.open_catalogue(workdir)


@pytest.fixture(scope='session')
def catalogues():
  """Recipe -> the small world, encoded by such a model."""
  return functools.cache(models.catalogue)
