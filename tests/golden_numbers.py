"""The numbers of the authors' own program, and our model for them."""

from collections.abc import Mapping
import pathlib
from typing import Any

import jax
from jax import numpy as jnp
import numpy as np

from configs import morning as config_lib
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.data.released import weights
from morning_jax.losses import pairwise
from morning_jax.model import factory
from morning_jax.model import morning
from tests import parameters as parameters_lib

FILE = pathlib.Path(__file__).parent / 'files' / 'golden_small.npz'
MODALITIES = {
  'content_text': 'text',
  'content_image': 'image',
  'audience_text': 'audience_text',
  'audience_image': 'audience_image',
  'attribute_embedding': 'attribute',
}


def release_config():
  """The released program's configuration at the golden numbers' widths."""
  config = config_lib.get_config('release')
  config.model.image_widths = (40, 40, 40, 32)
  config.model.text_widths = (16, 32)
  config.model.attribute_widths = (40, 32)
  return config


def build(numbers: Mapping[str, np.ndarray]) -> morning.Morning:
  sizes = {
    f: numbers[f'batch0/brand/{m}'].shape[1] for f, m in MODALITIES.items()
  }
  spec, notes = input_spec.resolve(release_config().model, sizes)
  assert not notes
  return factory.build(release_config().model, spec)


def table(
  numbers: Mapping[str, np.ndarray], batch: int, role: str
) -> accounts_lib.AccountTable:
  features = {
    f: jnp.asarray(numbers[f'batch{batch}/{role}/{m}'])
    for f, m in MODALITIES.items()
  }
  present = {f: jnp.ones(len(x), bool) for f, x in features.items()}
  return accounts_lib.AccountTable(features=features, present=present)


def params(numbers: Mapping[str, np.ndarray], prefix: str = 'param') -> Any:
  model = build(numbers)
  brands = table(numbers, 0, 'brand')
  like = parameters_lib.shapes(model, brands, brands)
  arrays = {r: numbers[f'{prefix}/{r}'] for r in weights.ROLES}
  return weights.params_from_roles(arrays, like)


Batch = tuple[accounts_lib.AccountTable, accounts_lib.AccountTable]


def batch_of(numbers: Mapping[str, np.ndarray], batch: int) -> Batch:
  """The brands and influencers of a batch's 32 rows."""
  return table(numbers, batch, 'brand'), table(numbers, batch, 'influencer')


def scores(model, parameters, batch: Batch, **kwargs) -> dict[str, jax.Array]:
  """Scores of the batch's 32 rows."""
  return morning.scores_of_pairs(
    *model.apply({'params': parameters}, *batch, **kwargs)
  )


def parts_of_scores(scores_R) -> pairwise.Parts:
  """Loss parts of alternating rows of positives and negatives."""
  config = release_config()
  return pairwise.triplet(
    {k: v[0::2] for k, v in scores_R.items()},
    {k: v[1::2, None] for k, v in scores_R.items()},
    margins=config.loss.margins.to_dict(),
    variant=config.loss.variant,
    score_weights={'content': 0.01, 'audience': 0.02, 'attribute': 0.01},
  )


def parts(model, parameters, batch: Batch, **kwargs) -> pairwise.Parts:
  config = release_config()
  return {
    **parts_of_scores(scores(model, parameters, batch, **kwargs)),
    'l1': config.loss.l1 * pairwise.l1_norm(parameters),
  }


PART_NAMES = {
  'l1': 'l1',
  'cross_entropy': 'cross_entropy',
  'hinge_content': 'triplet1',
  'hinge_audience': 'triplet2',
  'hinge_attribute': 'triplet3',
  'score_regularization': 'score_regularization',
}
