"""What a run says of a configuration that does less than it seems to."""

import pytest

from configs import morning as config_lib
from morning_jax.training import run


@pytest.mark.parametrize('variant', ['', 'pod', 'paper'])
def test_a_batch_that_repeats_positives_is_noted(variant):
  c = config_lib.get_config(variant)
  c.train.batch_size = 4096
  (note,) = run._batch_notes(c, 304)
  assert note == (
    'config.train.batch_size=4,096 is more than the 304 positives: a batch'
    ' holds each of them 13.5 times; config.train.batch_size=304 takes such'
    ' steps in less time'
  )
  assert run._batch_notes(c, 4096) == []
