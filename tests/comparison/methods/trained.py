"""What several tests of the methods train, once."""

import dataclasses
import functools

from jax import numpy as jnp
import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import registry
from morning_jax.comparison.methods import trainer
from morning_jax.core import accounts as accounts_lib
from morning_jax.data import splits
from morning_jax.evaluation import evaluator
from tests import runs

NAMES = ('bamir', 'camera', 'catr', 'hptr', 'mir', 'two-tower')
METHODS = {m.key: m for m in registry.METHODS if m.key in NAMES}


IMAGES = ('content_image', 'audience_image')


TEXTS = ('content_text', 'audience_text')


CONTENT = ('content_image', 'content_text')


EMBEDDING = ('attribute_embedding',)


def make_task(dataset, seed=0):
  train, test = splits.select(dataset, 'train'), splits.select(dataset, 'test')
  held_out = np.isin(dataset.positives_Px2[:, 0], test.brand_row_B)
  known = dataclasses.replace(
    dataset, positives_Px2=dataset.positives_Px2[~held_out]
  )
  return interface.Task(known, train, test, seed)


def without(task, gone):
  features = {k: v for k, v in task.dataset.features.items() if k not in gone}
  attributes = task.dataset.attributes
  if 'attribute_embedding' in gone:
    attributes = None
  dataset = dataclasses.replace(
    task.dataset, features=features, attributes=attributes
  )
  return dataclasses.replace(task, dataset=dataset)


@functools.cache
def task():
  return make_task(runs.small_world())


@functools.cache
def scores(name, seed=0):
  method = METHODS[name]
  return method.score(dataclasses.replace(task(), seed=seed))


def auc(task, score_BxM):
  return evaluator.rank_split(
    {'score': jnp.eye(len(score_BxM))},
    {'score': jnp.asarray(score_BxM.T)},
    task.dataset.accounts,
    task.test,
  ).metrics['auc']


def text_inputs(share):
  present = np.arange(6) < 5
  return trainer.Inputs(
    accounts_lib.AccountTable(
      features={'content_text': jnp.asarray(share, jnp.float32)},
      present={'content_text': jnp.asarray(present)},
    ),
    jnp.zeros(6),
  )
