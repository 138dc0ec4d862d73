"""Shows a bundle's attribute graph.

Examples:
  python -m launch.graph --bundle=my_bundle
  python -m launch.graph --bundle=my_bundle --neighbours=wine --plot=wine.png

The graph is the bundle's `attribute_graph.csv`, or is built from the training
positives. Neighbours by vector come from `attribute_vectors.txt` in the bundle
where there is one, and from node2vec otherwise.
"""

from __future__ import annotations

import pathlib

from absl import flags
import numpy as np

from launch import command_line
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle
from morning_jax.evaluation import trained_model
from morning_jax.graph import attribute_graph
from morning_jax.graph import edge_list
from morning_jax.graph import inspection
from morning_jax.graph import node2vec
from morning_jax.graph import picture
from morning_jax.graph import word2vec_format

_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'The bundle. Example: --bundle=my_bundle', required=True
)
_EDGES = flags.DEFINE_string(
  'edges',
  None,
  'An edge list to take instead of the graph of the bundle: rows of `source'
  ' target weight`, as text, .csv or .xlsx.'
  ' Example: --edges=attribute_graph.txt',
)
_NEIGHBOURS = flags.DEFINE_string(
  'neighbours',
  None,
  'Name of an attribute whose neighbours to list. Example: --neighbours=wine',
)
_COUNT = flags.DEFINE_integer(
  'count',
  10,
  'How many pairs and neighbours to list. Example: --count=20',
  lower_bound=1,
)
_PLOT = flags.DEFINE_string(
  'plot',
  None,
  'File to draw the neighbourhood into, of --neighbours or else of the'
  ' attribute with the largest weights. Example: --plot=wine.png',
)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  None,
  'Folder of a training run: neighbours after training are listed too.'
  ' Example: --workdir=runs/gcn',
)
_VECTORS = flags.DEFINE_string(
  'vectors',
  None,
  'File in the word2vec text format with the vectors to compare by.'
  ' Example: --vectors=attribute_vectors.txt',
)
_SAVE_VECTORS = flags.DEFINE_string(
  'save_vectors',
  None,
  'File to save the node2vec vectors into; under the name'
  f' {word2vec_format.BUNDLE_FILE} in the bundle, they are found there.'
  ' Example: --save_vectors=my_bundle/attribute_vectors.txt',
)
_P, _Q = (
  flags.DEFINE_float(
    name,
    1.0,
    f'node2vec: {text} parameter. Example: --{name}=1',
    lower_bound=1e-6,
    upper_bound=1e6,
  )
  for name, text in {'p': 'return', 'q': 'in-out'}.items()
)
_SEED = flags.DEFINE_integer(
  'seed',
  0,
  'Seed of node2vec. Example: --seed=1',
  lower_bound=0,
  upper_bound=2**32 - 1,
)


def _trained_vectors(
  workdir: str, graph: attribute_graph.AttributeGraph
) -> np.ndarray:
  """Returns the trained encoder's vectors [V, D] in the order of the graph."""
  names, vectors = trained_model.node_vectors(workdir)
  place = {name: i for i, name in enumerate(names)}
  unknown = [n for n in graph.names_V.tolist() if n not in place]
  if unknown:
    raise errors.UserError(
      f'--workdir={workdir}: was trained on other attributes; it does not know'
      f" {len(unknown):,} of the bundle's, {unknown[0]!r} the first"
    )
  return vectors[[place[n] for n in graph.names_V.tolist()]]


def _vectors(
  attributes: accounts_lib.Attributes, graph: attribute_graph.AttributeGraph
) -> tuple[str, np.ndarray]:
  """Returns where the vectors come from, and the vectors [V, D]."""
  stored = pathlib.Path(_BUNDLE.value) / word2vec_format.BUNDLE_FILE
  if not _SAVE_VECTORS.value and (_VECTORS.value or stored.exists()):
    vectors, missing = word2vec_format.read_attribute_vectors(
      _VECTORS.value or stored, attributes
    )
    if missing:
      print(f'note: {missing:,} attributes have no vector in the file')
    return 'by stored vector', vectors
  options = node2vec.Node2Vec(p=_P.value, q=_Q.value)
  vectors = node2vec.node2vec(
    graph, options=options, seed=_SEED.value, progress=True
  )
  return 'by node2vec', vectors


def _check_picture(path: str) -> None:
  """Checks, before the work, that a picture of this kind can be drawn.

  Raises:
    UserError: matplotlib is not installed, or does not know the name's ending.
  """
  try:
    from matplotlib.backends import backend_agg
  except ImportError:
    raise errors.UserError(
      "--plot: a picture needs matplotlib: pip install 'morning_jax[report]'"
    ) from None
  kinds = backend_agg.FigureCanvasAgg.get_supported_filetypes()
  ending = pathlib.Path(path).suffix.removeprefix('.')
  # Without one, it becomes a PNG.
  if ending and ending.lower() not in kinds:
    raise errors.UserError(
      f'--plot={path}: no picture ends in .{ending}; takes'
      f' {", ".join(sorted(kinds))}'
    )


def main(argv: list[str]) -> None:
  """Prints the graph and, where asked for, neighbours and a picture."""
  del argv
  command_line.check_output_files(
    plot=_PLOT.value, save_vectors=_SAVE_VECTORS.value
  )
  if _PLOT.value:
    _check_picture(_PLOT.value)
  if _NEIGHBOURS.value is None:
    command_line.refuse(
      (_WORKDIR, _VECTORS),
      'without --neighbours=NAME: its vectors are those that neighbours are'
      ' found by',
    )
  dataset = bundle.read_bundle(_BUNDLE.value)
  if _EDGES.value and dataset.attributes is not None:
    graph = edge_list.read_edge_list(_EDGES.value, dataset.attributes)
    origin = _EDGES.value
  else:
    graph = attribute_graph.build_graph(dataset)
    assert dataset.attributes is not None
    origin = (
      'built from the training positives'
      if dataset.attributes.edges_Ex2 is None
      else 'attribute_graph.csv'
    )
  node = None
  if _NEIGHBOURS.value is not None:
    node = inspection.node_of(graph, _NEIGHBOURS.value)
  print(f'{dataset.name}: {origin}')
  for note in graph.notes:
    print(f'note: {note}')
  print('\n'.join(inspection.summary_lines(graph, pairs=_COUNT.value)))
  if node is not None or _SAVE_VECTORS.value:
    # The cheaper first: it may turn out that there are none.
    after = None
    if _WORKDIR.value is not None:
      after = _trained_vectors(_WORKDIR.value, graph)
    heading, before = _vectors(dataset.attributes, graph)
    vectors = {heading: before}
    if after is not None:
      vectors = {f'{heading}, before training': before, 'after training': after}
    if node is not None:
      lines = inspection.neighbour_lines(
        graph, node, vectors=vectors, count=_COUNT.value
      )
      print('\n'.join(lines))
    if _SAVE_VECTORS.value:
      word2vec_format.write_vectors(
        _SAVE_VECTORS.value, dataset.attributes.ids_V.tolist(), before
      )
      print(f'vectors written to {_SAVE_VECTORS.value}')
  if _PLOT.value:
    if node is None:
      strength_V = np.bincount(
        graph.edges_Ex2.ravel(), weights=np.repeat(graph.weight_E, 2)
      )
      node = int(strength_V.argmax())
    picture.draw_neighbourhood(graph, node, _PLOT.value)
    print(f'picture written to {_PLOT.value}')


if __name__ == '__main__':
  command_line.run(main)
