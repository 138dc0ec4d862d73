"""Counts of FLOPs and bytes."""

import jax

from morning_jax.benchmarks import costs
from morning_jax.benchmarks import workload


def test_flops_equal_those_that_xla_counts():
  config = workload.recipe('', quick=True)
  work = workload.prepare(config, workload.load(None, quick=True))
  params = work.state.params
  table = work.table[:10]

  def encode(params):
    return work.model.apply(
      {'params': params}, table, role='brand', method='encode'
    )

  counted = jax.jit(encode).lower(params).compile().cost_analysis()['flops']
  # XLA counts the elementwise work too, a good part of so small a model.
  by_hand = 10 * costs.encoding_flops(params)
  assert by_hand < counted < 2 * by_hand


def test_a_step_moves_parameters_ten_times():
  config = workload.recipe('paper', quick=True)
  work = workload.prepare(config, workload.load(None, quick=True))
  flops, moved = costs.step(work)
  params = work.state.params
  sizes = [x.shape[1] for x in jax.tree.leaves(work.table.features)]
  assert moved == 40 * workload.count(params) + 4 * 48 * sum(sizes)
  # 16 brands, positives and negatives; forward, and backward to both sides.
  assert flops == 48 * 3 * costs.encoding_flops(params)
