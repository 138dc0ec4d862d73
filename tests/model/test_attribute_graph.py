"""Graph encoders: hand arithmetic, padding, permutation, gradients, devices."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import sharding
from morning_jax.graph import account_attributes
from morning_jax.graph import attribute_graph
from morning_jax.model import attribute_graph as model_lib
from tests import parameters

BOTH = pytest.mark.parametrize('kind', ['gcn', 'gat'])


def _four_nodes(weights=(1.0, 2.0, 4.0, 0.5), vectors=None):
  """0-1, 1-2, 0-2 and 2-3, each with a weight of its own."""
  return attribute_graph.AttributeGraph(
    np.array(['a', 'b', 'c', 'd']),
    np.array([[0, 1], [1, 2], [0, 2], [2, 3]], np.int32),
    np.array(weights, np.float32),
    vectors,
  )


def _random_graph(num_nodes=30, num_edges=80, dimensions=0, seed=0):
  rng = np.random.default_rng(seed)
  low, high = np.triu_indices(num_nodes, 1)
  pick = rng.choice(len(low), num_edges, replace=False)
  vectors = rng.normal(size=(num_nodes, dimensions)).astype(np.float32)
  return attribute_graph.AttributeGraph(
    np.array([f's{i}' for i in range(num_nodes)]),
    np.stack([low[pick], high[pick]], 1).astype(np.int32),
    rng.uniform(0.5, 5.0, num_edges).astype(np.float32),
    vectors if dimensions else None,
  )


def _held(lists, num_nodes, **kwargs):
  attributes = accounts_lib.Attributes(
    names_V=np.arange(num_nodes).astype(str),
    ids_V=np.arange(num_nodes).astype(str),
    holder=np.array([a for a, x in enumerate(lists) for _ in x], np.int64),
    held=np.array([s for x in lists for s in x], np.int64),
  )
  return account_attributes.account_attributes(attributes, len(lists), **kwargs)


def _init(encoder, graph, held):
  """Random parameters; 0 for the vectors that pad the graph."""
  params = parameters.draw(encoder, graph, held, scale=0.5)
  if 'vectors' in params:
    vectors = np.array(params['vectors'])
    vectors[encoder.num_nodes :] = 0
    params['vectors'] = vectors
  return {'params': params}


def test_convolution_of_four_nodes_by_hand():
  """Weights 1 (0-1), 2 (1-2), 4 (0-2), 0.5 (2-3), self 1, features 1, 2, 3, 4.

  Degrees with self: 1+4+1 = 6, 1+2+1 = 4, 2+4+.5+1 = 7.5, .5+1 = 1.5. Node 0:
    1*1/6 + 1*2/sqrt(6*4) + 4*3/sqrt(6*7.5)
  """
  graph = _four_nodes().to_jraph(multiple=8)
  x = np.zeros((8, 1), np.float32)
  x[:4, 0] = [1, 2, 3, 4]
  layer = model_lib.GraphConvolution(width=1)
  params = {'params': {'kernel': np.ones((1, 1)), 'bias': np.zeros(1)}}
  y = jax.jit(layer.apply)(params, x, graph)[:4, 0]
  expected = [
    1 / 6 + 2 / 24**0.5 + 4 * 3 / 45**0.5,
    2 / 4 + 1 / 24**0.5 + 2 * 3 / 30**0.5,
    3 / 7.5 + 4 * 1 / 45**0.5 + 2 * 2 / 30**0.5 + 0.5 * 4 / 11.25**0.5,
    4 / 1.5 + 0.5 * 3 / 11.25**0.5,
  ]
  np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_attention_of_four_nodes_by_hand():
  """Literal loops over neighbours, two heads, all parameters random."""
  rng = np.random.default_rng(0)
  graph = _four_nodes()
  weight = np.zeros((4, 4))
  for (i, j), w in zip(graph.edges_Ex2, graph.weight_E, strict=True):
    weight[i, j] = weight[j, i] = w
  np.fill_diagonal(weight, 2.5)
  params = {
    'kernel': rng.normal(size=(3, 4)),
    'bias': rng.normal(size=4),
    'sender': rng.normal(size=(2, 2)),
    'receiver': rng.normal(size=(2, 2)),
    'weight_power': np.array([1.0, 0.4]),
  }
  x = rng.normal(size=(4, 3))
  expected = np.zeros((4, 4))
  for head in range(2):
    z = (x @ params['kernel'])[:, 2 * head : 2 * head + 2]
    for i in range(4):
      score = np.zeros(4)
      for j in range(4):
        logit = z[j] @ params['sender'][:, head]
        logit += z[i] @ params['receiver'][:, head]
        logit = max(logit, 0.2 * logit)
        power = params['weight_power'][head]
        score[j] = weight[i, j] ** power * np.exp(logit) * (weight[i, j] > 0)
      expected[i, 2 * head : 2 * head + 2] = score / score.sum() @ z
  expected += params['bias']
  layer = model_lib.GraphAttention(width=4, num_heads=2, self_weight=2.5)
  padded = np.zeros((8, 3))
  padded[:4] = x
  y = jax.jit(layer.apply)(
    {'params': jax.tree.map(jnp.float32, params)},
    jnp.float32(padded),
    graph.to_jraph(multiple=8),
  )[:4]
  np.testing.assert_allclose(y, expected, rtol=2e-5, atol=1e-6)


@BOTH
def test_changing_one_edge_weight_changes_the_output(kind):
  encoder = model_lib.AttributeEncoder(num_nodes=4, kind=kind, features=8)
  held = _held([[0], [3], [1, 2]], 4)[jnp.arange(3)]
  graph = _four_nodes().to_jraph(multiple=8)
  params = _init(encoder, graph, held)
  run = jax.jit(encoder.apply)
  before = run(params, graph, held)
  for edge in range(4):
    weights = [1.0, 2.0, 4.0, 0.5]
    weights[edge] *= 3
    changed = _four_nodes(weights).to_jraph(multiple=8)
    after = run(params, changed, held)
    assert np.abs(after - before).max() > 1e-3


@BOTH
def test_an_edge_of_weight_zero_is_no_edge(kind):
  """Padding to a device count may add such edges between real nodes."""
  encoder = model_lib.AttributeEncoder(num_nodes=4, kind=kind, features=8)
  held = _held([[0], [3], [1, 2]], 4)[jnp.arange(3)]
  graph = _four_nodes().to_jraph(multiple=8)
  params = _init(encoder, graph, held)
  one_way = (graph.senders == 1) & (graph.receivers == 0)
  other_way = (graph.senders == 0) & (graph.receivers == 1)
  without = attribute_graph.AttributeGraph(
    np.array(['a', 'b', 'c', 'd']),
    np.array([[1, 2], [0, 2], [2, 3]], np.int32),
    np.array([2.0, 4.0, 0.5], np.float32),
  )
  run = jax.jit(encoder.apply)
  zeroed = graph._replace(
    edges=np.where(one_way | other_way, 0, graph.edges).astype(np.float32)
  )
  expected = run(params, without.to_jraph(multiple=8), held)
  np.testing.assert_allclose(run(params, zeroed, held), expected, rtol=1e-5)


@BOTH
def test_padding_changes_nothing(kind):
  encoder = model_lib.AttributeEncoder(num_nodes=30, kind=kind, features=8)
  graph = _random_graph()
  lists = [[0, 5], [], [29, 3, 7]]
  held = _held(lists, 30)[jnp.arange(3)]
  small, large = graph.to_jraph(multiple=1), graph.to_jraph(multiple=256)
  # The same seed draws the same vectors, whatever the padding is.
  drawn = [
    model_lib.nn.unbox(jax.jit(encoder.init)(jax.random.key(0), g, held))
    for g in (small, large)
  ]
  np.testing.assert_array_equal(
    drawn[0]['params']['vectors'][:30], drawn[1]['params']['vectors'][:30]
  )
  assert not np.any(drawn[1]['params']['vectors'][30:])
  params = _init(encoder, small, held)
  wide = jax.tree.map(jnp.asarray, params)
  wide['params']['vectors'] = np.pad(
    params['params']['vectors'], ((0, 256 - 31), (0, 0))
  )
  wider = account_attributes.HeldAttributes(
    index=jnp.pad(held.index, ((0, 0), (0, 40))),
    weight=jnp.pad(held.weight, ((0, 0), (0, 40))),
  )

  def loss(params, graph, held):
    return jnp.sum(jnp.square(encoder.apply(params, graph, held) - 1.0))

  run = jax.jit(jax.value_and_grad(loss))
  one, one_grad = run(params, small, held)
  two, two_grad = run(wide, large, wider)
  np.testing.assert_allclose(one, two, rtol=1e-6)
  two_vectors = two_grad['params'].pop('vectors')
  one_vectors = one_grad['params'].pop('vectors')
  np.testing.assert_allclose(one_vectors[:30], two_vectors[:30], atol=1e-5)
  assert not np.any(two_vectors[30:])
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    one_grad,
    two_grad,
  )


@BOTH
def test_permuting_nodes_and_edges_permutes_the_output(kind):
  graph = _random_graph(dimensions=8)
  rng = np.random.default_rng(1)
  new_of = rng.permutation(30)
  order = rng.permutation(graph.num_edges)
  edges = np.sort(new_of[graph.edges_Ex2], axis=1)[order].astype(np.int32)
  vectors = np.zeros((30, 8), np.float32)
  vectors[new_of] = graph.vectors_VxD
  permuted = attribute_graph.AttributeGraph(
    graph.names_V, edges, graph.weight_E[order], vectors
  )
  encoder = model_lib.AttributeEncoder(
    num_nodes=30, kind=kind, start='node2vec', freeze=True
  )
  held = _held([[0]], 30)[jnp.arange(1)]
  params = _init(encoder, graph.to_jraph(), held)
  one, two = (
    encoder.apply(params, g.to_jraph(), method=encoder.node_vectors)
    for g in (graph, permuted)
  )
  np.testing.assert_allclose(two[new_of], one[:30], rtol=1e-4, atol=1e-5)
  assert np.abs(two[:30] - one[:30]).max() > 0.1


@pytest.mark.parametrize('kind', ['lookup', 'gcn', 'gat'])
def test_gradients_reach_every_node_that_an_account_uses(kind):
  encoder = model_lib.AttributeEncoder(num_nodes=30, kind=kind, features=8)
  graph = _random_graph().to_jraph()
  used = list(range(0, 30, 3))
  # One list is longer than a slice of the pooling.
  lists = [list(range(30)), used, [], [29]]
  held = _held(lists, 30)[jnp.array([1, 2])]
  params = _init(encoder, graph, held)

  def loss(params):
    return jnp.sum(jnp.sin(encoder.apply(params, graph, held)))

  grad = jax.jit(jax.grad(loss))(params)['params']
  assert (np.abs(grad['vectors'][np.array(used)]).max(axis=1) > 1e-6).all()
  assert (np.abs(grad['unknown']) > 1e-6).all()
  if kind == 'lookup':
    others = np.setdiff1d(np.arange(30), used)
    assert not np.any(grad['vectors'][others])
  for leaf in jax.tree.leaves(grad):
    assert np.isfinite(leaf).all() and np.any(leaf)


def test_pooling_is_the_mean_and_unknown_where_there_is_none():
  vectors = np.arange(40, dtype=np.float32).reshape(20, 2) ** 2
  lists = [[3], [], list(range(18)), [1, 19]]
  table = _held(lists, 20)
  encoder = model_lib.AttributeEncoder(num_nodes=20, kind='lookup')
  unknown = jnp.array([-5.0, 7.0])
  rows = jnp.array([2, 1, 3, 0, 1])
  pooled = encoder.apply(
    {'params': {'unknown': unknown}},
    vectors,
    table[rows],
    method=encoder.pool,
  )
  expected = [
    vectors[lists[r]].mean(0) if lists[r] else unknown for r in rows.tolist()
  ]
  np.testing.assert_allclose(pooled, expected, rtol=1e-6)

  weight = np.linspace(0.5, 4.0, 20)
  weighted = _held(lists, 20, weight_V=weight)
  pooled = encoder.apply(
    {'params': {'unknown': unknown}},
    vectors,
    weighted[jnp.array([3])],
    method=encoder.pool,
  )
  expected = (weight[1] * vectors[1] + weight[19] * vectors[19]) / (
    weight[1] + weight[19]
  )
  np.testing.assert_allclose(pooled[0], expected, rtol=1e-6)


def test_frozen_vectors_are_no_parameters_and_learned_ones_start_there():
  graph = _random_graph(dimensions=8).to_jraph()
  held = _held([[0, 1]], 30)[jnp.arange(1)]

  def params_of(**kwargs):
    encoder = model_lib.AttributeEncoder(num_nodes=30, **kwargs)
    variables = encoder.init(jax.random.key(0), graph, held)
    return model_lib.nn.unbox(variables)['params']

  assert set(params_of(kind='node2vec')) == {'unknown'}
  frozen = params_of(kind='gcn', start='node2vec', freeze=True)
  assert 'vectors' not in frozen
  started = params_of(kind='gat', start='node2vec')
  np.testing.assert_array_equal(started['vectors'], graph.nodes)
  pooled = model_lib.AttributeEncoder(num_nodes=30, kind='node2vec').apply(
    {'params': params_of(kind='node2vec')}, graph, held
  )
  np.testing.assert_allclose(pooled[0], graph.nodes[:2].mean(0), rtol=1e-6)
  with pytest.raises(ValueError, match='no node2vec vectors'):
    model_lib.AttributeEncoder(num_nodes=4, kind='node2vec').init(
      jax.random.key(0), _four_nodes().to_jraph(), held
    )


@BOTH
def test_edge_dropout_drops_in_training_only_and_keeps_the_expectation(kind):
  graph = _four_nodes(vectors=np.eye(4, dtype=np.float32)).to_jraph()
  held = _held([[0]], 4)[jnp.arange(1)]
  encoder = model_lib.AttributeEncoder(
    num_nodes=4,
    kind=kind,
    start='node2vec',
    freeze=True,
    num_layers=1,
    edge_dropout=0.5,
  )
  params = _init(encoder, graph, held)

  def run(key):
    return encoder.apply(params, graph, held, train=True, rngs={'dropout': key})

  full = jax.jit(encoder.apply)(params, graph, held)
  dropped = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 4000))
  assert np.abs(dropped[0] - full).max() > 1e-3
  np.testing.assert_allclose(dropped.mean(0), full, atol=0.03)


@BOTH
def test_bfloat16_is_close_and_parameters_stay_float32(kind):
  graph = _random_graph().to_jraph()
  held = _held([[0, 1], []], 30)[jnp.arange(2)]
  wide, narrow = (
    model_lib.AttributeEncoder(
      num_nodes=30, kind=kind, features=16, dtype=dtype
    )
    for dtype in (None, jnp.bfloat16)
  )
  params = _init(wide, graph, held)
  drawn = parameters.shapes(narrow, graph, held)
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(drawn))
  one, two = (jax.jit(e.apply)(params, graph, held) for e in (wide, narrow))
  np.testing.assert_allclose(one, two, atol=0.1)
  assert (np.asarray(one) != np.asarray(two, np.float32)).any()


@BOTH
def test_eight_devices_equal_one(kind):
  if len(jax.devices()) < 8:
    pytest.skip('needs 8 (simulated) devices')
  encoder = model_lib.AttributeEncoder(num_nodes=30, kind=kind, features=8)
  graph = _random_graph().to_jraph()
  rng = np.random.default_rng(0)
  lists = [
    rng.choice(30, rng.integers(0, 25), replace=False).tolist()
    for _ in range(16)
  ]
  held = _held(lists, 30)[jnp.arange(16)]
  params = _init(encoder, graph, held)
  target = rng.normal(size=(16, 8)).astype(np.float32)

  @jax.jit
  def loss(params, graph, held, target):
    y = jax.jit(encoder.apply)(params, graph, held)
    return jnp.sum(jnp.square(y - target))

  run = jax.value_and_grad(loss)
  one, one_grad = run(params, graph, held, target)
  mesh = sharding.make_mesh(data=4, model=2)
  boxed = jax.eval_shape(encoder.init, jax.random.key(0), graph, held)
  params8 = jax.device_put(params, sharding.state_shardings(boxed, mesh))
  nodes, edges, senders, receivers = sharding.put_rows(
    (graph.nodes, graph.edges, graph.senders, graph.receivers), mesh
  )
  graph8 = graph._replace(
    nodes=nodes,
    edges=edges,
    senders=senders,
    receivers=receivers,
    n_node=jax.device_put(graph.n_node, sharding.replicated(mesh)),
    n_edge=jax.device_put(graph.n_edge, sharding.replicated(mesh)),
  )
  # Node vectors sharded, as `vertex` may be.
  rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
  params8['params']['vectors'] = jax.device_put(
    params8['params']['vectors'], rows
  )
  with jax.set_mesh(mesh):
    held8, target8 = sharding.put_rows((held, target), mesh)
    eight, eight_grad = run(params8, graph8, held8, target8)
  kernel = params8['params']['layer0']['kernel']
  assert 'model' in kernel.sharding.spec
  assert len(params8['params']['vectors'].sharding.device_set) == 8
  np.testing.assert_allclose(one, eight, rtol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    one_grad,
    eight_grad,
  )
