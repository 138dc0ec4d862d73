"""The attribute graph in training, in checkpoints and on other bundles."""

import dataclasses

import jax
import numpy as np
import pytest

from launch import graph as graph_launcher
from morning_jax.core import errors
from morning_jax.core import sharding
from morning_jax.data import pipeline
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.evaluation import evaluate
from morning_jax.evaluation import trained_model
from morning_jax.graph import attribute_graph
from morning_jax.training import train
from tests import runs


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
  return runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')


def config(bundle, encoder='gcn', **changes):
  return runs.config(
    bundle,
    model__attribute__encoder=encoder,
    model__attribute__start='learned',
    model__attribute__freeze=False,
    model__attribute__dimensions=16,
    **changes,
  )


@pytest.fixture(scope='module')
def trained(bundle, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('runs') / 'gcn'
  return workdir, train.train(config(bundle), workdir)


def test_evaluation_restores_the_graph(trained):
  workdir, outcome = trained
  again = evaluate.evaluate(workdir, wanted_splits=('valid', 'test'))
  assert again == outcome.metrics


@pytest.mark.parametrize('encoder', ['embedding', 'node2vec', 'gat', 'auto'])
def test_every_encoder_trains(bundle, tmp_path, encoder):
  data = pipeline.load(config(bundle).data)
  features = dict(data.features)
  # Without embeddings of accounts, 'embedding' learns vectors of attributes.
  del features['attribute_embedding']
  data = dataclasses.replace(data, features=features)
  c = config(bundle, encoder, train__epochs=1)
  outcome = train.train(c, tmp_path, dataset=data)
  assert np.isfinite(outcome.metrics['test']['auc'])
  params = trained_model.restore(tmp_path).params['attribute']['graph']
  assert 'unknown' in params
  assert ('vectors' in params) == (encoder != 'node2vec')
  assert ('layer0' in params) == (encoder in ('gat', 'auto'))


def test_a_run_resumes_with_its_graph(bundle, tmp_path):
  # A schedule that does not depend on the number of epochs.
  constant = {'optimizer__schedule': 'constant'}
  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  train.train(config(bundle, **constant), whole)
  train.train(config(bundle, train__epochs=2, **constant), parts)
  train.train(config(bundle, **constant), parts)
  runs.assert_bit_equal(whole, parts)


def graph_weights(data, c):
  split_up = pipeline.assign_splits(data, c)
  return pipeline.fit_graph(
    c.model.attribute,
    split_up,
    kind='gcn',
    seed=0,
    stored=not c.data.folds,
  )


def test_no_held_out_pair_moves_the_graph(bundle):
  c = config(bundle, data__folds=4, data__fold=2)
  data = pipeline.load(c.data)
  before = graph_weights(data, c)
  splits = pipeline.assign_splits(data, c).accounts.splits
  held_out = splits[data.positives_Px2[:, 0]] == 'test'
  assert held_out.any()
  fewer = dataclasses.replace(data, positives_Px2=data.positives_Px2[~held_out])
  # The fold is dealt from all brands, so deal it first.
  without = pipeline.fit_graph(
    c.model.attribute,
    dataclasses.replace(
      fewer,
      accounts=dataclasses.replace(data.accounts, splits=splits),
    ),
    kind='gcn',
    seed=0,
    stored=False,
  )
  for name, array in before.items():
    np.testing.assert_array_equal(array, without[name])
  training = np.flatnonzero(splits[data.positives_Px2[:, 0]] == 'train')
  less = dataclasses.replace(
    data,
    accounts=dataclasses.replace(data.accounts, splits=splits),
    positives_Px2=np.delete(data.positives_Px2, training[:20], axis=0),
  )
  moved = pipeline.fit_graph(
    c.model.attribute, less, kind='gcn', seed=0, stored=False
  )
  assert not np.array_equal(before['edges'], moved['edges'])


def test_folds_do_not_take_a_stored_graph(bundle):
  c = config(bundle)
  data = pipeline.load(c.data)
  edges = np.array([[0, 1], [1, 2]])
  stored = dataclasses.replace(
    data,
    attributes=dataclasses.replace(
      data.attributes, edges_Ex2=edges, weight_E=np.ones(2, np.float32)
    ),
  )
  assert (graph_weights(stored, c)['edges'] > 0).sum() == 4
  c.data.folds, c.data.fold = 4, 0
  assert (graph_weights(stored, c)['edges'] > 0).sum() > 100


def test_another_bundle_is_matched_by_name(bundle, trained, tmp_path, capsys):
  workdir, outcome = trained
  data = pipeline.load(config(bundle).data)
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
  with pytest.raises(errors.UserError, match='no attribute_list'):
    evaluate.evaluate(workdir, bundle=str(tmp_path / 'bare'))


@pytest.mark.parametrize('large', [False, True])
def test_eight_devices_are_one(bundle, tmp_path, large, monkeypatch):
  if large:  # as if the graph were: nodes and edges shard
    monkeypatch.setattr(sharding, 'LARGE', 1)
  scalars = {}
  for devices in (1, 8):
    c = config(bundle, mesh__data=devices)
    run = runs.prepare(c, tmp_path / str(devices))
    with jax.set_mesh(run.mesh):
      state = run.start()
      spread = not run.data.graph.edges.sharding.is_fully_replicated
      assert spread == (large and devices > 1)
      vectors = state.params['attribute']['graph']['vectors']
      assert vectors.sharding.is_fully_replicated == (not spread)
      _, values = run.run_steps(state, run.data, length=10)
    scalars[devices] = jax.device_get(values)
  np.testing.assert_allclose(scalars[8]['loss'], scalars[1]['loss'], rtol=1e-5)


def test_trained_vectors_are_the_encoder_s(trained, bundle):
  workdir, _ = trained
  names, vectors = trained_model.node_vectors(workdir)
  assert vectors.shape == (len(names), 16)
  data = pipeline.load(config(bundle).data)
  graph = attribute_graph.build_graph(data)
  found = graph_launcher._trained_vectors(str(workdir), graph)
  place = {name: i for i, name in enumerate(names)}
  for row, name in enumerate(graph.names_V.tolist()):
    np.testing.assert_array_equal(found[row], vectors[place[name]])
  start = trained_model.restore(workdir).params['attribute']['graph']['vectors']
  assert not np.allclose(vectors, start[: len(names)])


def test_a_model_without_a_graph_has_no_vectors(bundle, tmp_path):
  train.train(runs.config(bundle, train__epochs=1), tmp_path)
  with pytest.raises(errors.UserError, match='no attribute graph'):
    trained_model.node_vectors(tmp_path)
