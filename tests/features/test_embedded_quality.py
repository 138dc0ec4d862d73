"""From posts, the embedded world is ranked nearly as well as from its features.

What is lost is what a few posts say less than the world's own features do.
"""

import dataclasses
import json

import pytest

from morning_jax.data.synthetic import options as world_options
from morning_jax.features import options as options_lib
from morning_jax.features.embedded import writing as embedded
from morning_jax.features.images import options as image_options
from morning_jax.features.stages import runner
from morning_jax.training import train
from tests import runs
from tests.features import preparations


def _test_metrics(bundle, workdir):
  train.train(runs.config(bundle, train__epochs=20), workdir)
  told = json.loads((workdir / 'metrics.json').read_text())
  return told['test']


@pytest.mark.slow
def test_a_prepared_world_is_ranked_nearly_as_well(tmp_path):
  world = world_options.small()
  embedded.write(world, tmp_path / 'raw', embedded.PostOptions())
  options = options_lib.Options(
    topics=dataclasses.replace(
      options_lib.TopicOptions(),
      content=world.content_topics,
      audience=world.audience_topics,
    ),
    images=image_options.ImageOptions(encoder=embedded.encoder_of(world)),
  )
  preparations.prepare(
    tmp_path / 'raw',
    tmp_path / 'prepared',
    options=options,
    runner=runner.LocalRunner(runner.cores()),
  )
  runs.write_bundle(tmp_path / 'own')
  prepared, own = (
    _test_metrics(tmp_path / name, tmp_path / f'run_{name}')
    for name in ('prepared', 'own')
  )
  assert own['auc'] > 0.8
  assert prepared['auc'] > own['auc'] - 0.04
