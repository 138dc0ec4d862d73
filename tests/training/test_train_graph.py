"""The attribute graph in training, in checkpoints and on other bundles."""

import dataclasses

import numpy as np
import pytest

from launch import graph as graph_launcher
from morning_jax.core import errors
from morning_jax.core import sharding
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import preprocessing
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.evaluation import evaluate
from morning_jax.evaluation import trained_model
from morning_jax.graph import attribute_graph
from morning_jax.training import train
from tests import runs


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


# A rate that does not know how long the run will be.
CONSTANT = {'optimizer__schedule': 'constant'}


def config(bundle, encoder='gcn', **changes):
  return runs.config(
    bundle,
    model__attribute__encoder=encoder,
    model__attribute__start='learned',
    model__attribute__freeze=False,
    model__attribute__dimensions=16,
    model__perspectives=('attribute',),  # compiles faster
    **changes,
  )


@pytest.fixture(scope='module')
def trained(bundle, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('runs') / 'gcn'
  return workdir, train.train(config(bundle, **CONSTANT), workdir)


def test_evaluation_restores_the_graph(trained):
  workdir, outcome = trained
  again = evaluate.evaluate(workdir, wanted_splits=('valid', 'test'))
  assert again == outcome.metrics


@pytest.mark.parametrize(
  'encoder',
  runs.slow_but({'auto'}, ['lookup', 'node2vec', 'gat', 'auto']),
)
def test_every_encoder_trains(bundle, tmp_path, encoder):
  data = dataset_lib.load(config(bundle).data)
  c = config(bundle, encoder, train__epochs=1)
  outcome = train.train(c, tmp_path, dataset=data)
  assert np.isfinite(outcome.metrics['test']['auc'])
  params = trained_model.restore(tmp_path).params['attribute']['graph']
  assert 'unknown' in params
  assert ('vectors' in params) == (encoder != 'node2vec')
  assert ('layer0' in params) == (encoder in ('gat', 'auto'))


def test_a_run_resumes_with_its_graph(bundle, trained, tmp_path):
  whole, _ = trained
  train.train(config(bundle, train__epochs=2, **CONSTANT), tmp_path)
  train.train(config(bundle, **CONSTANT), tmp_path)
  runs.assert_bit_equal(whole, tmp_path)


def graph_weights(data, c):
  """The graph's arrays, of a data set whose splits are those of training."""
  spec, _ = dataset_lib.resolve_inputs(data, c.model)
  split, _ = dataset_lib.training_split(data)
  fitted = preprocessing.fit(spec, data, split, whitening=0.0, seed=0)
  return fitted[preprocessing.GRAPH]


def assert_same_graph(one, other):
  for name, array in one.items():
    np.testing.assert_array_equal(array, other[name])


# Brands held out by a fold, and by a share of them for validation.
@pytest.mark.parametrize(
  'changes',
  [{'data__folds': 4, 'data__fold': 2}, {'data__valid_share': 0.3}],
)
def test_no_held_out_pair_moves_the_graph(bundle, changes):
  c = config(bundle, **changes)
  data = dataset_lib.load(c.data)
  # Validation brands of its own would leave nothing to hold out.
  splits = data.accounts.splits.copy()
  splits[splits == 'valid'] = 'train'
  data = with_splits(data, splits)
  data = with_graph_of_all_pairs(data)
  used = dataset_lib.assign_splits(data, c)
  before = graph_weights(used, c)
  splits = used.accounts.splits
  held_out = splits[data.positives_Px2[:, 0]] != 'train'
  # Those that the stored graph knows are among them.
  assert (
    held_out & (data.accounts.splits[data.positives_Px2[:, 0]] == 'train')
  ).any()
  fewer = dataclasses.replace(used, positives_Px2=data.positives_Px2[~held_out])
  assert_same_graph(before, graph_weights(fewer, c))
  training = np.flatnonzero(~held_out)
  less = dataclasses.replace(
    used, positives_Px2=np.delete(data.positives_Px2, training[:20], axis=0)
  )
  moved = graph_weights(less, c)
  assert not np.array_equal(before['edges'], moved['edges'])


def with_splits(data, splits):
  accounts = dataclasses.replace(data.accounts, splits=splits)
  return dataclasses.replace(data, accounts=accounts)


def with_graph_of_all_pairs(data):
  graph = attribute_graph.build_graph(data)
  attributes = dataclasses.replace(
    data.attributes, edges_Ex2=graph.edges_Ex2, weight_E=graph.weight_E
  )
  return dataclasses.replace(data, attributes=attributes)


def test_a_stored_graph_is_used_where_no_brand_moves(bundle):
  c = config(bundle, data__valid_share=0.0)
  data = dataset_lib.load(c.data)
  edges = np.array([[0, 1], [1, 2]])
  stored = dataclasses.replace(
    data,
    attributes=dataclasses.replace(
      data.attributes, edges_Ex2=edges, weight_E=np.ones(2, np.float32)
    ),
  )
  used = dataset_lib.assign_splits(stored, c)
  assert (graph_weights(used, c)['edges'] > 0).sum() == 4
  c.data.folds, c.data.fold = 4, 0
  used = dataset_lib.assign_splits(stored, c)
  assert (graph_weights(used, c)['edges'] > 0).sum() > 100
  assert 'one is built from the training pairs' in used.notes[-1]


def test_another_bundle_is_matched_by_name(bundle, trained, tmp_path, capsys):
  workdir, outcome = trained
  data = dataset_lib.load(config(bundle).data)
  attributes = data.attributes
  assert attributes is not None
  order = np.random.default_rng(0).permutation(len(attributes.names_V))
  place = np.argsort(order)
  shuffled = dataclasses.replace(
    attributes,
    names_V=np.append(attributes.names_V[order], 'unheard of'),
    ids_V=np.arange(len(order) + 1).astype(str),
    held=place[attributes.held],
  )
  other = dataclasses.replace(data, attributes=shuffled)
  bundle_lib.write_bundle(other, tmp_path / 'other')
  metrics = evaluate.evaluate(
    workdir, bundle=str(tmp_path / 'other'), wanted_splits=('test',)
  )
  assert metrics['test']['map'] == pytest.approx(
    outcome.metrics['test']['map'], abs=1e-6
  )
  assert '1 of' in (err := capsys.readouterr().err)
  assert 'attributes are unknown to the model' in err


def test_a_bundle_without_lists_does_not_fit(trained, tmp_path):
  workdir, _ = trained
  data = dataclasses.replace(runs.small_world(), attributes=None)
  bundle_lib.write_bundle(data, tmp_path / 'bare')
  with pytest.raises(errors.UserError, match='no attribute lists'):
    evaluate.evaluate(workdir, bundle=str(tmp_path / 'bare'))


@pytest.mark.parametrize('large', runs.slow_but((), [False, True]))
def test_eight_devices_are_one(bundle, tmp_path, large, monkeypatch):
  if large:  # as if the graph were: nodes and edges shard
    monkeypatch.setattr(sharding, 'LARGE', 1)
  scalars = {}
  for devices in (1, 8):
    c = config(bundle, mesh__data=devices)
    run, state = runs.start(c, tmp_path / str(devices))
    spread = not run.data.graph.edges.sharding.is_fully_replicated
    assert spread == (large and devices > 1)
    vectors = state.params['attribute']['graph']['vectors']
    assert vectors.sharding.is_fully_replicated == (not spread)
    scalars[devices] = runs.scalars(run, state, 10)
  np.testing.assert_allclose(scalars[8]['loss'], scalars[1]['loss'], rtol=1e-5)


def test_trained_vectors_are_the_encoder_s(trained, bundle):
  workdir, _ = trained
  names, vectors = trained_model.node_vectors(workdir)
  assert vectors.shape == (len(names), 16)
  data = dataset_lib.load(config(bundle).data)
  graph = attribute_graph.build_graph(data)
  found = graph_launcher._trained_vectors(str(workdir), graph)
  place = {name: i for i, name in enumerate(names)}
  for row, name in enumerate(graph.names_V.tolist()):
    np.testing.assert_array_equal(found[row], vectors[place[name]])
  start = trained_model.restore(workdir).params['attribute']['graph']['vectors']
  assert not np.allclose(vectors, start[: len(names)])


def test_a_model_without_a_graph_has_no_vectors(bundle, tmp_path):
  train.train(runs.config(bundle, train__epochs=1, **runs.NARROW), tmp_path)
  with pytest.raises(errors.UserError, match='no attribute graph'):
    trained_model.node_vectors(tmp_path)
