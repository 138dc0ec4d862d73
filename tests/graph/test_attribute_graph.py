"""The host graph: folding, checks, padding, edge lists."""

import jax
import jraph
import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle
from morning_jax.graph import attribute_graph
from morning_jax.graph import edge_list

NAMES = np.array(['pet', 'food', 'wine', 'travel'])
ATTRIBUTES = accounts_lib.Attributes(
  names_V=NAMES,
  ids_V=np.array(['0', '1', '2', '3']),
  holder=np.zeros(0, np.int64),
  held=np.zeros(0, np.int64),
)


def _fold(edges, weights):
  return attribute_graph.fold_directions(
    NAMES, np.array(edges, np.int64), np.array(weights, np.float32)
  )


def test_counts_of_both_directions_add():
  """2 x 20.57^2 + 2 x 0.71^2 = 847.26, of which the root of half is 20.582."""
  graph = _fold([[3, 1], [1, 3], [0, 2]], [20.57, 0.71, 1.5])
  assert graph.edges_Ex2.tolist() == [[0, 2], [1, 3]]
  np.testing.assert_allclose(graph.weight_E, [1.5, 20.58225], rtol=1e-6)


def test_one_weight_in_both_directions_is_one_edge():
  both = _fold([[0, 1], [1, 0], [2, 1], [1, 2]], [0.71, 0.71, 3.0, 3.0])
  assert both.weight_E.tolist() == [np.float32(0.71), 3.0]
  # An edge that is listed once says nothing about the others.
  single = _fold([[0, 1], [1, 0], [2, 1]], [0.71, 0.71, 3.0])
  assert single.weight_E.tolist() == [np.float32(0.71), 3.0]


def test_where_most_heavier_edges_have_two_weights_all_rows_are_counts():
  """(0, 1) met once in each order, as 5,572 pairs of the authors' file did."""
  graph = _fold([[0, 1], [1, 0], [2, 1], [1, 2]], [1.0, 1.0, 3.0, 4.0])
  np.testing.assert_allclose(graph.weight_E, [2**0.5, 5.0], rtol=1e-6)
  assert 'one of counts' in graph.notes[0]


def _symmetric_listing():
  """A complete graph of six, every edge in both directions with one weight."""
  low, high = np.triu_indices(6, 1)
  weight = np.sqrt(np.arange(1, 16) / 2)
  edges = np.stack(
    [np.concatenate([low, high]), np.concatenate([high, low])], 1
  )
  return edges, np.concatenate([weight, weight]), weight


def _fold_six(edges, weights):
  return attribute_graph.fold_directions(
    np.array(list('abcdef')), edges, weights.astype(np.float32)
  )


def test_a_missing_row_leaves_a_symmetric_listing_as_it_is():
  edges, rows, weight = _symmetric_listing()
  for missing in range(len(rows)):
    graph = _fold_six(np.delete(edges, missing, 0), np.delete(rows, missing))
    np.testing.assert_array_equal(graph.weight_E, weight.astype(np.float32))
  assert graph.notes == (
    '14 of 15 edges are listed in both directions, 14 of them with one weight;'
    ' these keep it',
  )


@pytest.mark.parametrize('decimals', [1, 2])
def test_a_rounded_row_is_the_weight_of_the_other_direction(decimals):
  edges, rows, weight = _symmetric_listing()
  for row in range(15):
    rounded = rows.copy()
    rounded[row] = np.round(rows[row], decimals)
    graph = _fold_six(edges, rounded)
    others = np.arange(15) != row
    np.testing.assert_array_equal(
      graph.weight_E[others], weight.astype(np.float32)[others]
    )
    assert abs(graph.weight_E[row] - weight[row]) < 0.026
    assert '15 of them with one weight' in graph.notes[0]


def test_a_wrong_row_changes_its_own_edge_and_is_named():
  edges, rows, weight = _symmetric_listing()
  rows[4] = 9.0
  graph = _fold_six(edges, rows)
  weight[4] = np.hypot(9.0, weight[4])
  np.testing.assert_allclose(graph.weight_E, weight, rtol=1e-6)
  assert "of 1 the two weights differ and add (of 'a' and 'f'" in graph.notes[0]


@pytest.mark.parametrize(
  'edges, weights, message',
  [
    ([[0, 4]], [1.0], r'edge 0: attribute \[0, 4\] is out of range'),
    ([[0, 1], [-1, 1]], [1.0, 1.0], r'edge 1: attribute \[-1, 1\] is out of'),
    ([[0, 1], [2, 2]], [1.0, 1.0], "edge 1: 'wine' is linked to itself"),
    ([[0, 1]], [0.0], r"edge 0 \('pet' - 'food'\): weight 0.0 is not a pos"),
    ([[0, 1]], [-2.0], 'not a positive finite number'),
    ([[0, 1]], [np.nan], 'not a positive finite number'),
    ([[0, 1]], [np.inf], 'not a positive finite number'),
    ([[2, 1], [0, 1], [2, 1]], [1.0] * 3, "edge 2: 'wine' - 'food' is there"),
    ([], [], 'no edges'),
  ],
)
def test_a_mistake_is_one_line(edges, weights, message):
  with pytest.raises(errors.UserError, match=message) as caught:
    _fold(edges, weights)
  assert '\n' not in str(caught.value)


def test_a_graph_refuses_what_folding_would_mend():
  for edges in ([[1, 0]], [[0, 1], [0, 1]]):
    with pytest.raises(errors.UserError):
      attribute_graph.AttributeGraph(
        NAMES, np.array(edges, np.int32), np.ones(len(edges), np.float32)
      )
  with pytest.raises(errors.UserError, match='node vectors'):
    attribute_graph.AttributeGraph(
      NAMES, np.array([[0, 1]]), np.ones(1), np.ones((3, 2))
    )


@pytest.mark.parametrize('multiple', [1, 4, 128])
def test_the_device_graph_is_sorted_padded_and_closed(multiple):
  graph = _fold([[3, 1], [0, 2], [0, 1], [2, 3]], [4.0, 1.0, 2.0, 3.0])
  padded = graph.to_jraph(multiple=multiple)
  assert (np.diff(padded.receivers) >= 0).all()
  assert len(padded.nodes) % multiple == len(padded.edges) % multiple == 0
  assert padded.n_node.sum() == len(padded.nodes) > 4
  assert padded.n_edge.sum() == len(padded.edges)
  real = np.asarray(jraph.get_edge_padding_mask(padded))
  assert real.sum() == 8
  # No edge crosses between the graph and its padding.
  assert (padded.senders[real] < 4).all() and (padded.receivers[real] < 4).all()
  assert (padded.senders[~real] == 4).all()
  assert (padded.receivers[~real] == 4).all()
  assert not padded.edges[~real].any()
  found = {
    (int(s), int(r)): float(w)
    for s, r, w in zip(
      padded.senders[real],
      padded.receivers[real],
      padded.edges[real],
      strict=True,
    )
  }
  expected = {(1, 3): 4.0, (0, 2): 1.0, (0, 1): 2.0, (2, 3): 3.0}
  expected |= {(j, i): w for (i, j), w in expected.items()}
  assert found == expected
  np.testing.assert_array_equal(
    jraph.get_node_padding_mask(padded)[:5], [1, 1, 1, 1, 0]
  )
  # It is a pytree that jit takes.
  assert float(jax.jit(lambda g: g.edges.sum())(padded)) == 20.0


def test_an_edge_list_is_read_as_text_csv_and_spreadsheet(tmp_path):
  rows = [(3, 1, 4.5), (0, 2, 0.71), (2, 0, 0.71)]
  text = tmp_path / 'attribute_graph.txt'
  text.write_text('\n'.join(' '.join(map(str, r)) for r in rows) + '\n\n')
  comma = tmp_path / 'edges.csv'
  comma.write_text(
    'source,target,weight\n' + '\n'.join(','.join(map(str, r)) for r in rows)
  )
  named = tmp_path / 'named.csv'
  named.write_text('travel,food,4.5\npet,wine,0.71\nwine,pet,0.71\n')
  openpyxl = pytest.importorskip('openpyxl')
  book = openpyxl.Workbook()
  book.active.append(['source', 'target', 'weight'])
  for source, target, weight in rows:
    book.active.append([float(source), target, weight])
  book.save(tmp_path / 'edges.xlsx')
  for path in (text, comma, named, tmp_path / 'edges.xlsx'):
    graph = edge_list.read_edge_list(path, ATTRIBUTES)
    assert graph.edges_Ex2.tolist() == [[0, 2], [1, 3]]
    np.testing.assert_allclose(graph.weight_E, [0.71, 4.5], rtol=1e-6)


@pytest.mark.parametrize(
  'text, message',
  [
    ('0 1 1.0\n0 9 1.0\n', "row 2: attribute id '9' is out of range"),
    ('0 1 1.0\n0 cat 1.0\n', "row 2: attribute 'cat' is not in attributes.csv"),
    ('0 1 1.0\n0 2 -1\n', "row 2: weight '-1' is not a positive finite"),
    ('0 1 nan\n', "row 1: weight 'nan' is not a positive finite"),
    ('0 1 1e-60\n', "row 1: weight '1e-60' is not a positive finite"),
    ('0 1 lots\n', "row 1: weight 'lots' is not a positive finite"),
    ('0 1 1\n2 3 1\n\n0 1 2\n', "row 4: the edge from '0' to '1' is already"),
    ('0 1 1,5\n', "row 1: weight '1,5' .*; decimals follow a point"),
    ('0 1 1_0\n', "row 1: weight '1_0' is not a positive finite"),
    ('0 1 1e39\n', "row 1: weight '1e39' is not a positive finite"),
    ('0 1 1\0\n', 'row 1: holds a NUL character'),
    ('0 1 1\n' + 'x' * 300_000 + ' 1 1\n', r"row 2: attribute 'x{75}\.\.\.'"),
    ('0 1\n', 'row 1: 2 columns; a row is `source target weight`'),
    ('2 2 1\n', "row 1: an edge from '2' to itself"),
    ('source target weight\n', 'no edges; a row is'),
    ('', 'no edges; a row is'),
  ],
)
def test_a_mistake_in_an_edge_list_names_file_and_row(tmp_path, text, message):
  path = tmp_path / 'graph.txt'
  path.write_text(text)
  with pytest.raises(errors.UserError, match=message) as caught:
    edge_list.read_edge_list(path, ATTRIBUTES)
  assert str(caught.value).startswith(str(path))
  assert len(str(caught.value)) <= 300
  assert '\n' not in str(caught.value)


def test_files_that_are_none_are_one_line(tmp_path):
  with pytest.raises(errors.UserError, match=r'none.txt: No such file'):
    edge_list.read_edge_list(tmp_path / 'none.txt', ATTRIBUTES)
  (tmp_path / 'bad.xlsx').write_bytes(b'PK not really')
  with pytest.raises(errors.UserError, match=r'bad.xlsx: not a readable'):
    edge_list.read_edge_list(tmp_path / 'bad.xlsx', ATTRIBUTES)
  (tmp_path / 'bad.txt').write_bytes(b'\xff\xfe\x00')
  with pytest.raises(errors.UserError, match=r'bad.txt: is UTF-16 text'):
    edge_list.read_edge_list(tmp_path / 'bad.txt', ATTRIBUTES)


@pytest.mark.real_data
def test_the_authors_graph_folds_to_its_undirected_edges(real_data):
  dataset = bundle.read_bundle(real_data)
  graph = attribute_graph.build_graph(dataset)
  rows = len(dataset.attributes.edges_Ex2)
  assert (graph.num_nodes, rows, graph.num_edges) == (572, 29_050, 17_590)
  assert 'one of counts' in graph.notes[0]
  index = {tuple(e): i for i, e in enumerate(graph.edges_Ex2.tolist())}
  np.testing.assert_allclose(
    graph.weight_E[index[(5, 166)]], (20.57**2 + 0.71**2) ** 0.5, rtol=1e-6
  )
  # 2 w^2 is a count: a whole number, but for the two decimals of the file.
  counts = 2 * np.square(graph.weight_E, dtype=np.float64)
  np.testing.assert_allclose(counts, np.round(counts), atol=0.03, rtol=0.005)
