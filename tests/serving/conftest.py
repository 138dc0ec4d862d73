"""One model behind a server in this process."""

import dataclasses
import pathlib

import pytest

from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import exclusions as exclusions_lib
from morning_jax.serving import settings as settings_lib
from tests import runs
from tests.recommend import models
from tests.serving import clients

FOLDER = '/somewhere/secret'


@pytest.fixture(scope='session')
def catalogue() -> catalogue_lib.Catalogue:
  """The small world, as if read from a folder, by an untrained model."""
  dataset = dataclasses.replace(runs.small_world(), name=f'{FOLDER}/small')
  return models.catalogue('lookup', dataset)


@pytest.fixture(scope='session')
def excluded_file(tmp_path_factory) -> pathlib.Path:
  file = tmp_path_factory.mktemp('lists') / 'removed.txt'
  file.write_text('')
  return file


@pytest.fixture(scope='session')
def engine(catalogue, excluded_file) -> engine_lib.Engine:
  engine = engine_lib.Engine(
    catalogue, exclusions=exclusions_lib.Exclusions(excluded_file)
  )
  engine.warm_up()
  return engine


@pytest.fixture(scope='session')
def metrics():
  """Of a test split, as training writes them."""
  return {
    'test': {
      'auc': 0.811,
      'recall@10': 0.327,
      'medr': 2.0,
      'num_brands': 9,
      'num_candidates': 140,
      'step': 7,
    }
  }


@pytest.fixture(scope='session')
def ask(engine, metrics) -> clients.Client:
  """Asks a server that this machine alone reaches."""
  return clients.client(
    engine, settings_lib.Settings(contact='a@b.example'), metrics
  )


@pytest.fixture(scope='session')
def brand(catalogue) -> str:
  """A brand of the test split that has partners, and one name."""
  side = catalogue.brands
  splits = catalogue.dataset.accounts.splits[side.account_row_N]
  taken = catalogue.influencers.row_of
  return next(
    str(side.ids_N[row])
    for row in sorted(catalogue.partners)
    if splits[row] == 'test' and side.ids_N[row] not in taken
  )
