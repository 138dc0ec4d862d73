"""Numbers that no run can be of are refused, by the name of their field."""

import pytest

from configs import morning as config_lib
from morning_jax.core import errors
from morning_jax.training import config_check
from morning_jax.training import optimizer


def changed(**fields):
  config = config_lib.get_config()
  with config.unlocked():
    config.update_from_flattened_dict(
      {k.replace('__', '.'): v for k, v in fields.items()}
    )
  return config


@pytest.mark.parametrize('variant', config_lib.VARIANTS)
def test_every_variant_is_in_range(variant):
  config_check.check(config_lib.get_config(variant))


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'optimizer__learning_rate': float('nan')}, 'learning_rate=nan is not fi'),
    ({'loss__margins__content': float('inf')}, 'content=inf is not finite'),
    ({'seed': -1}, 'config.seed=-1 must be at least 0'),
    ({'seed': 2**32}, 'config.seed=4294967296 must be at most 4294967295'),
    ({'data__folds': -1}, 'folds=-1 must be at least 0'),
    ({'train__batch_size': 0}, 'batch_size=0 must be at least 1'),
    ({'train__epochs': 2**31}, 'epochs=2147483648 must be at most 2147483647'),
    ({'optimizer__warmup': 2.0}, 'warmup=2.0 must be at most 1'),
    ({'evaluation__every_epochs': 0.0}, 'every_epochs=0.0 must be above 0'),
    ({'model__image_widths': ('a', 'b')}, 'must be whole numbers, as in'),
    (
      {'loss__kind': 'triplet', 'train__negatives': 10**8},
      '51,200,000,512 influencers with all negatives',
    ),
  ],
)
def test_numbers_out_of_range(fields, message):
  with pytest.raises(errors.UserError, match=message):
    config_check.check(changed(**fields))


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'loss__kind': 'pairs'}, "loss.kind: 'pairs' is none of all_pairs, trip"),
    ({'model__dtype': 'fp32'}, 'none of float32, bfloat16'),
    ({'model__perspectives': ('contnt',)}, 'did you mean content'),
    ({'model__modalities': ('txt',)}, 'did you mean text'),
    ({'model__encoder': 'resid'}, 'did you mean residual'),
    ({'model__projection': 'drawn'}, 'is none of none, learned, random'),
    ({'model__projection_width': 0}, 'projection_width=0 must be at least 1'),
    ({'model__co_attention': 'papr'}, 'did you mean paper'),
    ({'model__hidden_dropout': 1.0}, r'hidden_dropout=1.0 is not in \[0, 1\)'),
    ({'model__attribute__encoder': 'gnc'}, 'did you mean gcn'),
    ({'model__attribute__encoder': 'gcn,'}, "'' is none of auto, embedding"),
    ({'model__layer_dropout': 1.0}, r'layer_dropout=1.0 is not in \[0, 1\)'),
    ({'model__image_widths': ()}, 'must be positive, and one at least'),
    ({'model__image_widths': (10**9, 10**9)}, 'at most 1,048,576 units'),
    ({'model__image_widths': (2**20, 2**20)}, 'most 2,147,483,647 entries'),
    (
      {'model__encoder': 'paper', 'model__text_widths': (4,)},
      'must end alike',
    ),
    (
      {'model__attribute__encoder': 'gat', 'model__attribute__heads': 3},
      '3 heads do not divide 128',
    ),
    ({'model__initial_weight': 0.0}, 'initial_weight=0.0 must be above 0'),
  ],
)
def test_values_that_no_model_can_have(fields, message):
  with pytest.raises(errors.UserError, match=message):
    config_check.check(changed(**fields))


def test_negatives_count_for_triplets_alone():
  config_check.check(changed(train__negatives=10**8))


def test_more_steps_than_can_be_counted():
  config = changed(train__epochs=2**29, train__batch_size=16)
  assert optimizer.plan(config, 48).num_steps == 3 * 2**29
  with pytest.raises(errors.UserError, match='of 4 steps each: 2,147,483,647'):
    optimizer.plan(config, 64)
