"""Slow: how well the recipes rank, on the real data and the embedded world."""

import pytest

from configs import morning as config_lib
from morning_jax.comparison import compare
from morning_jax.data.bundle import bundle
from morning_jax.training import train

pytestmark = pytest.mark.slow


def recipes():
  variants = {'': config_lib.get_config()}
  return variants | {v: config_lib.get_config(v) for v in ('paper', 'release')}


@pytest.mark.real_data
def test_the_default_recipe_leads_on_the_real_data(real_data, tmp_path):
  rivals = (
    'similarity',
    'similarity-whitened',
    'lambdamart',
    'two-tower',
    'bamir',
    'morning-paper',
  )
  found = compare.compare(
    bundle.read_bundle(real_data),
    recipes(),
    compare.Options(methods=(*rivals, 'morning'), seeds=1),
    tmp_path,
  )['methods']
  ours = found['morning']['summary']
  for rival in rivals:
    summary = found[rival]['summary']
    for metric in ('auc', 'cauc', 'recall@50', 'map'):
      assert summary[metric]['mean'] < ours[metric]['mean'], (rival, metric)
    for metric in ('recall@10', 'mrr'):
      # Not above beyond the error of the paired difference.
      assert summary[metric]['difference_low'] < 0, (rival, metric)
    if rival in ('similarity', 'morning-paper'):
      for metric in ('auc', 'cauc', 'recall@50', 'map'):
        assert summary[metric]['difference_high'] < 0, (rival, metric)
  gain = {
    m: ours[m]['mean'] - found['similarity']['summary'][m]['mean']
    for m in ('auc', 'map')
  }
  assert gain['auc'] > 0.015 and gain['map'] > 0.015


def test_the_embedded_world_needs_every_perspective(tmp_path):
  perspectives = ('content', 'audience', 'attribute')

  def test_metrics(kept):
    c = config_lib.get_config()
    c.model.perspectives = kept
    c.mesh.data = 1
    return train.train(c, tmp_path / '-'.join(kept)).metrics['test']

  whole = test_metrics(perspectives)
  assert whole['auc'] > 0.97 * whole['planted']['auc']
  for gone in perspectives:
    kept = tuple(p for p in perspectives if p != gone)
    assert test_metrics(kept)['map'] < whole['map'] - 0.02, gone
