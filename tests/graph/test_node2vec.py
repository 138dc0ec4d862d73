"""node2vec end to end, and the file of its vectors."""

import time

import jax
import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle
from morning_jax.graph import attribute_graph
from morning_jax.graph import node2vec
from morning_jax.graph import skip_gram
from morning_jax.graph import word2vec_format
from tests.graph import link_prediction

SMALL = node2vec.Node2Vec(
  length=20, skip_gram=skip_gram.SkipGram(dimensions=16, window=4, epochs=8)
)


def _two_groups(isolated=0):
  """Two cliques of eight, joined by one weak edge."""
  low, high = np.triu_indices(8, 1)
  edges = np.concatenate(
    [np.stack([low, high], 1), np.stack([low, high], 1) + 8, [[7, 8]]]
  )
  weight = np.full(len(edges), 2.0, np.float32)
  weight[-1] = 0.1
  return attribute_graph.AttributeGraph(
    np.array([f's{i}' for i in range(16 + isolated)]),
    edges.astype(np.int32),
    weight,
  )


def _cosine(vectors):
  unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
  return unit @ unit.T


def test_vectors_separate_groups_and_repeat_for_a_seed():
  one = node2vec.node2vec(_two_groups(isolated=2), options=SMALL, seed=3)
  assert one.shape == (18, 16) and one.dtype == np.float32
  same = node2vec.node2vec(_two_groups(isolated=2), options=SMALL, seed=3)
  np.testing.assert_array_equal(one, same)
  other = node2vec.node2vec(_two_groups(isolated=2), options=SMALL, seed=4)
  assert np.abs(one - other).max() > 1e-3
  cosine = _cosine(one)
  inside = (cosine[:8, :8].sum() - 8 + cosine[8:16, 8:16].sum() - 8) / 112
  assert inside > cosine[:8, 8:16].mean() + 0.4
  # Without edges a vector stays the small random one it started as.
  assert np.isfinite(one).all()
  norms = np.linalg.norm(one[16:], axis=1)
  assert (norms > 0).all() and (norms < 0.1 * np.linalg.norm(one[0])).all()


def test_walks_start_and_noise_share_no_random_numbers(monkeypatch):
  uniform = jax.random.uniform
  drawn = {}

  def recorded(key, shape=(), *args, **options):
    # Of walks, start vectors and noise, by the numbers' count.
    drawn.setdefault(shape, [])
    jax.debug.callback(
      lambda words: drawn[shape].append(tuple(words.tolist())),
      jax.random.key_data(key),
    )
    return uniform(key, shape, *args, **options)

  monkeypatch.setattr(jax.random, 'uniform', recorded)
  # Sizes that no other test compiles.
  options = node2vec.Node2Vec(
    length=7,
    walks_per_node=3,
    skip_gram=skip_gram.SkipGram(dimensions=5, window=2, epochs=3),
  )
  node2vec.node2vec(_two_groups(isolated=3), options=options, seed=11)
  jax.effects_barrier()
  walks, start, noise = (drawn[shape] for shape in ((19,), (19, 5), (64,)))
  assert len(walks) == 3 * 6
  assert len(start) == 1
  assert len(noise) == 3 * (57 // 8)
  keys = walks + start + noise
  assert len(set(keys)) == len(keys)


@pytest.mark.parametrize('bad', [{'p': 0.0}, {'q': -1.0}, {'length': 1}])
def test_settings_that_make_no_walk_are_one_line(bad):
  with pytest.raises(errors.UserError, match='node2vec'):
    node2vec.Node2Vec(**bad)


ATTRIBUTES = accounts_lib.Attributes(
  names_V=np.array(['pet food', 'wine', 'art']),
  ids_V=np.array(['10', '20', '30']),
  holder=np.zeros(0, np.int64),
  held=np.zeros(0, np.int64),
)


def test_vectors_survive_the_text_format_in_any_order(tmp_path):
  rng = np.random.default_rng(0)
  vectors = rng.normal(size=(3, 4)).astype(np.float32)
  path = tmp_path / 'vectors.txt'
  order = [2, 0, 1]
  word2vec_format.write_vectors(path, ATTRIBUTES.ids_V[order], vectors[order])
  assert path.read_text().splitlines()[0] == '3 4'
  read, missing = word2vec_format.read_attribute_vectors(path, ATTRIBUTES)
  np.testing.assert_array_equal(read, vectors)
  assert missing == 0
  # By name, and with one attribute that the file lacks.
  word2vec_format.write_vectors(path, ['art', 'wine'], vectors[:2])
  read, missing = word2vec_format.read_attribute_vectors(path, ATTRIBUTES)
  np.testing.assert_array_equal(read, [np.zeros(4), vectors[1], vectors[0]])
  assert missing == 1
  with pytest.raises(errors.UserError, match='holds white space'):
    word2vec_format.write_vectors(path, ATTRIBUTES.names_V, vectors)


@pytest.mark.parametrize(
  'text, message',
  [
    ('', "row 1: ''; the word2vec text format begins"),
    ('10 1.0 2.0\n', 'row 1: .*; the word2vec text format begins'),
    ('2 2\n10 1 2\n20 1\n', 'row 3: expected 2 rows of a token and 2 numbers'),
    ('1 2\n10 1 2\n20 1 2\n', 'row 3: expected 1 rows'),
    ('1 2\n10 1 nan\n', "row 2: the vector of '10' is not of finite"),
    ('1 2\n10 1 x\n', "row 2: the vector of '10' is not of finite"),
    ('2 2\n10 1 2\n10 1 2\n', "row 3: '10' is already in row 2"),
    ('3 2\n10 1 2\n', 'row 1 promises 3 vectors, 1 follow'),
    ('1 2\nzebra 1 2\n', "no token is an id or a name .* is 'zebra'"),
  ],
)
def test_a_broken_vector_file_is_one_line(tmp_path, text, message):
  path = tmp_path / 'vectors.txt'
  path.write_text(text)
  with pytest.raises(errors.UserError, match=message) as caught:
    word2vec_format.read_attribute_vectors(path, ATTRIBUTES)
  assert str(caught.value).startswith(str(path))
  with pytest.raises(errors.UserError, match='No such file'):
    word2vec_format.read_vectors(tmp_path / 'none.txt')


@pytest.mark.real_data
@pytest.mark.slow
def test_vectors_of_the_authors_graph_predict_held_out_edges(real_data):
  """At least as well as gensim's skip-gram on the same walks; prints both."""
  gensim_models = pytest.importorskip('gensim.models')
  graph = attribute_graph.build_graph(bundle.read_bundle(real_data))
  options = node2vec.Node2Vec()
  print('\nseed  walks s  ours: AUC  s    gensim: AUC  s')
  for seed in range(3):
    split = link_prediction.hold_out_edges(graph, share=0.1, seed=seed)
    began = time.perf_counter()
    paths = node2vec.sample_walks(split.graph, options=options, seed=seed)
    walked = time.perf_counter() - began
    began = time.perf_counter()
    ours = skip_gram.train_skip_gram(
      paths, graph.num_nodes, options=options.skip_gram, seed=seed
    )
    learned = time.perf_counter() - began
    sentences = [[str(n) for n in path if n >= 0] for path in paths.tolist()]
    began = time.perf_counter()
    model = gensim_models.Word2Vec(
      sentences,
      vector_size=options.skip_gram.dimensions,
      window=options.skip_gram.window,
      epochs=options.skip_gram.epochs,
      negative=options.skip_gram.negatives,
      min_count=0,
      sg=1,
      workers=2,
      seed=seed,
    )
    gensim_learned = time.perf_counter() - began
    theirs = np.stack([model.wv[str(i)] for i in range(graph.num_nodes)])
    aucs = [link_prediction.edge_auc(v, split) for v in (ours, theirs)]
    print(
      f'{seed:4}  {walked:7.2f}  {aucs[0]:9.3f}  {learned:4.1f}'
      f'  {aucs[1]:10.3f}  {gensim_learned:4.1f}'
    )
    assert aucs[0] >= aucs[1]
