"""Benchmarks at tiny sizes: what they record, and the peers they compare to.

Nothing here looks at how fast anything was.
"""

import dataclasses
import importlib.util
import json
import math

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.benchmarks import costs
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import memory
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import registry
from morning_jax.benchmarks import report
from morning_jax.benchmarks import scaling
from morning_jax.benchmarks import top_k
from morning_jax.benchmarks import workload
from morning_jax.core import errors
from morning_jax.losses import negative_sampling
from morning_jax.losses import pairwise
from morning_jax.training import loss_fn
from tests import runs

needs_torch = pytest.mark.skipif(
  importlib.util.find_spec('torch') is None,
  reason="torch is not installed (pip install 'morning_jax[benchmark]')",
)
needs_faiss = pytest.mark.skipif(
  importlib.util.find_spec('faiss') is None,
  reason="faiss is not installed (pip install 'morning_jax[benchmark]')",
)

RATES = rates_lib.Rates(flops=4e9, exact_flops=2e9, memory=1e9)
QUICK = harness.Options(
  quick=True,
  repeats=2,
  peers='none',
  batch_sizes=(8,),
  epochs=1,
  influencers=3000,
  width=16,
  brands=4,
  k=5,
  parameters=(2000,),
  accounts=(200,),
  pairs=(100,),
  devices=(2,),
)


@pytest.fixture(scope='module')
def small():
  return workload.load(None, quick=True)


def consistent(figure: harness.Measurement) -> None:
  """Checks a figure against its limit, whatever it is."""
  for value in (figure.median, figure.limit, figure.share):
    assert math.isfinite(value)
    assert value > 0
  assert figure.spread >= 0
  rate = figure.unit != 's'
  share = figure.median / figure.limit if rate else figure.limit / figure.median
  assert share == pytest.approx(figure.share)
  if figure.ratio is not None:
    assert math.isfinite(figure.ratio['value'])
    assert figure.ratio['value'] > 0
  assert all(math.isfinite(v) for v in figure.also.values())


COUNTS = {
  'training': 2,
  'paper': 2,
  'encoding': 2,
  'ranking': 1,
  'checkpoint': 3,
  'startup': 2,
  'scaling': 3,
}


@pytest.mark.parametrize(
  'name',
  [
    # Every start is a process that compiles from nothing.
    pytest.param(n, marks=pytest.mark.slow) if n == 'startup' else n
    for n in COUNTS
  ],
)
def test_every_benchmark_runs(name, tmp_path):
  repeats = 1 if name == 'startup' else 2
  options = dataclasses.replace(QUICK, folder=str(tmp_path), repeats=repeats)
  figures = list(registry.BENCHMARKS[name](options, RATES))
  assert len(figures) == COUNTS[name]
  for figure in figures:
    assert figure.name == name
    consistent(figure)
  parameters = [tuple(f.parameters.items()) for f in figures]
  if name != 'paper':  # there, one of seconds and one of a rate
    assert len(set(parameters)) == len(figures)
  records = [registry.as_json(f, RATES) for f in figures]
  assert json.loads(json.dumps(records)) == records
  table = report.of_figures(records).splitlines()
  assert len(table) == 2 + len(figures)
  assert list(tmp_path.iterdir()) == []  # cleaned up


def test_every_benchmark_is_listed():
  assert set(registry.BENCHMARKS) == set(COUNTS)
  assert registry.choose('all') == tuple(registry.BENCHMARKS)


def test_a_figure_is_a_median_beside_its_limit():
  figure = harness.measured(
    'x',
    {},
    [4.0, 1.0, 2.0],
    harness.Limit(0.5, 'FLOPs'),
    work=8.0,
    unit='things/s',
    peer=('other', [6.0, 3.0, 100.0]),
  )
  # Rates 2, 8, 4: quartiles 3 and 6. At best, 8 things in half a second.
  assert (figure.median, figure.spread, figure.limit) == (4.0, 3.0, 16.0)
  assert figure.share == 0.25
  assert figure.ratio == {'to': 'other', 'value': 3.0}
  seconds = harness.measured('x', {}, [1.0, 3.0], harness.Limit(0.5, 'bytes'))
  assert (seconds.median, seconds.limit, seconds.share) == (2.0, 0.5, 0.25)


def test_calls_take_turns_after_a_warm_up():
  order = []
  calls = {'a': lambda: order.append('a'), 'b': lambda: order.append('b')}
  seconds = harness.interleave(calls, repeats=2)
  assert ''.join(order) == 'ab' + 'abab'
  assert [len(v) for v in seconds.values()] == [2, 2]


def test_the_slower_of_two_resources_limits():
  assert RATES.limit(flops=8e9, moved=1e9) == harness.Limit(2.0, 'FLOPs')
  assert RATES.limit(flops=8e9, moved=3e9) == harness.Limit(3.0, 'bytes')
  assert RATES.limit(flops=8e9, moved=3e9, exact=True).seconds == 4.0


def test_rates_are_measured():
  rates = rates_lib.measure(quick=True)
  assert all(v > 0 for v in dataclasses.astuple(rates))


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


def test_the_quick_world_of_noise_is_what_was_asked_for():
  world = scaling.world(accounts=400, pairs=100)
  pairs = world.positives_Px2
  assert len(world.accounts) == 400
  assert len(np.unique(pairs, axis=0)) == len(pairs) == 100
  assert len(scaling.world(accounts=400, pairs=10).positives_Px2) == 10
  assert world.accounts.roles[pairs[:, 0]].tolist() == [0] * 100
  assert world.accounts.roles[pairs[:, 1]].tolist() == [1] * 100


def test_the_smallest_world_of_noise_can_be_trained_on():
  work = scaling._prepare(scaling.LEAST_ACCOUNTS, 10_000, devices=1, quick=True)
  assert math.isfinite(float(work.run(1)['loss'][0]))


def test_an_epoch_has_no_more_pieces_than_steps():
  options = dataclasses.replace(QUICK, repeats=300)
  figure, _ = registry.BENCHMARKS['paper'](options, RATES)
  assert figure.parameters['steps'] == 211


@pytest.mark.parametrize('variant', ['', 'paper'])
def test_what_rates_limit_runs_on_the_device_they_are_of(variant, small):
  assert jax.device_count() > 1
  work = workload.prepare(workload.recipe(variant), small)
  assert list(work.mesh.devices.flat) == jax.devices()[:1]


def test_peak_memory_of_a_call():
  np.ones(1 << 26).sum()  # 512 MiB, before: no part of the peak
  peak = memory.peak_beyond(lambda: np.ones(1 << 24).sum())  # 128 MiB
  if peak is None:
    pytest.skip('this system does not tell the peak')
  assert 120e6 < peak < 250e6
  assert memory.peak_beyond(lambda: None) < 20e6


def test_the_catalogue_shrinks_to_what_memory_allows(capsys):
  options = dataclasses.replace(QUICK, influencers=10**12, k=5)
  rows = top_k._rows_that_fit(options)
  assert 5 <= rows < 10**12
  assert f'memory allows {rows:,} influencers' in capsys.readouterr().err


@needs_faiss
def test_faiss_searches_the_same_catalogue():
  options = dataclasses.replace(QUICK, peers='required')
  ours, theirs = top_k.run(options, RATES)
  assert ours.parameters['implementation'] == 'morning_jax'
  assert theirs.parameters['implementation'] == 'faiss.IndexFlatIP'
  assert ours.ratio['to'] == 'faiss.IndexFlatIP'
  for figure in (ours, theirs):
    consistent(figure)


@needs_faiss
def test_a_difference_to_faiss_is_noticed(monkeypatch):
  def wrong(brand, catalogue, *, k):
    found = real(brand, catalogue, k=k)
    return found._replace(scores=found.scores + 1)

  real = top_k.top_k_lib.top_k
  monkeypatch.setattr(top_k.top_k_lib, 'top_k', wrong)
  with pytest.raises(RuntimeError, match='different influencers'):
    list(top_k.run(dataclasses.replace(QUICK, peers='required'), RATES))


def test_without_a_peer_one_line_says_so(monkeypatch, capsys):
  monkeypatch.setattr(harness.importlib.util, 'find_spec', lambda name: None)
  options = dataclasses.replace(QUICK, peers='auto')
  assert not harness.has_peer('torch', options)
  said = capsys.readouterr().err.strip()
  assert said.count('\n') == 0
  assert 'torch is not installed' in said
  with pytest.raises(errors.UserError, match='required'):
    harness.has_peer('torch', dataclasses.replace(QUICK, peers='required'))


def without_dropout(variant):
  config = workload.recipe(variant, quick=True)
  config.model.layer_dropout = config.model.hidden_dropout = 0.0
  config.train.batch_size = 64
  return config


@needs_torch
@pytest.mark.parametrize('variant', ['paper', ''])
def test_pytorch_computes_the_same_loss_and_gradient(variant, small):
  from morning_jax.benchmarks import pytorch

  config = without_dropout(variant)
  work = workload.prepare(config, small)
  # Not the start alone, where some parameters are zero.
  key = jax.random.key(7)
  params = jax.tree.map(
    lambda x: (
      x + 0.1 * jax.random.normal(jax.random.fold_in(key, x.size), x.shape)
    ),
    work.state.params,
  )
  work.state = work.state.replace(params=params)
  positives = jnp.arange(64) * 3
  loss = loss_fn.of_positives(config, loss_fn.make_loss(config))
  value, grads = jax.value_and_grad(
    lambda p: pairwise.total(loss(work.model, p, work.data, positives, key))
  )(params)
  drawn = None
  trainer = pytorch.Trainer(work)
  if variant == 'paper':
    negative_key, _ = jax.random.split(key)
    drawn = negative_sampling.draw(
      negative_key, work.data.lists, work.data.brand_P[positives], count=1
    )
    drawn = pytorch.torch.tensor(np.asarray(drawn)[:, 0]).long()
  theirs = trainer.loss(pytorch.torch.tensor(np.asarray(positives)), drawn)
  assert float(theirs.detach()) == pytest.approx(float(value), rel=1e-4)
  theirs.backward()
  image = trainer.model.towers['content']['image']
  np.testing.assert_allclose(
    image.mlp.layers[0].weight.grad.numpy().T,
    grads['content']['image']['dense0']['kernel'],
    rtol=1e-3,
    atol=1e-5,
  )
  np.testing.assert_allclose(
    image.missing.grad.numpy(),
    grads['content']['image']['missing'],
    rtol=1e-3,
    atol=1e-5,
  )


@needs_torch
def test_pytorch_draws_no_positives(small):
  from morning_jax.benchmarks import pytorch

  trainer = pytorch.Trainer(
    workload.prepare(workload.recipe('paper', quick=True), small)
  )
  for _ in range(20):
    drawn = trainer.draw(trainer.brand_P)
    assert not trainer.known_BxM[trainer.brand_P, drawn].any()
  # All others are drawn sooner or later: here, all that are not known.
  brand = trainer.brand_P[:1].repeat(20_000)
  rest = int(trainer.num_rest_B[brand[0]])
  assert len(set(trainer.draw(brand).tolist())) == rest


@needs_torch
def test_training_beside_pytorch():
  options = dataclasses.replace(QUICK, peers='required')
  figures = list(registry.BENCHMARKS['training'](options, RATES))
  names = [f.parameters['implementation'] for f in figures]
  assert names == ['morning_jax', 'pytorch'] * 2
  assert [bool(f.ratio) for f in figures] == [True, False] * 2
  for figure in figures:
    consistent(figure)


def test_command_line_writes_the_figures(tmp_path):
  done = runs.launch(
    'encoding', '--quick', f'--json={tmp_path}/f.json', module='benchmark'
  )
  assert done.returncode == 0, done.stderr
  figures = json.loads((tmp_path / 'f.json').read_text())
  assert len(figures) == 2
  fields = {f.name for f in dataclasses.fields(harness.Measurement)}
  fields |= {'machine', 'device', 'platform', 'devices', 'threads'}
  assert set(figures[0]) == fields | {'versions', 'date'}
  assert figures[0]['versions']['jax'] == jax.__version__
  assert figures[0]['device'] == 'cpu'
  assert 'accounts/s' in done.stdout
  assert 'limited by' in done.stdout


MISTAKES = {
  'unknown name': (['trainig'], 'did you mean training?'),
  'no name': ([], 'name a benchmark'),
  'two names': (['paper', 'ranking'], "unexpected argument 'ranking'"),
  'no folder': (['paper', '--json=nowhere/f.json'], 'does not exist'),
  'list': (['checkpoint', '--parameters=10,many'], 'whole numbers above 0'),
  'out of range': (['paper', '--epochs=0'], 'epochs'),
  'too few': (['scaling', '--accounts=99'], '--accounts=99: is not in 100..'),
  'too many': (['training', f'--batch_sizes={2**31}'], 'is not in 1..'),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_end_in_one_line(name):
  args, said = MISTAKES[name]
  done = runs.launch(*args, module='benchmark')
  lines = done.stderr.strip().splitlines()
  assert done.returncode == 2, done.stderr
  assert len(lines) == 1, done.stderr
  assert said in lines[0]


def test_help_lists_the_benchmarks():
  done = runs.launch('--help', module='benchmark')
  assert done.returncode == 0
  for name in (*registry.BENCHMARKS, 'all'):
    assert f'\n  {name} ' in done.stdout
