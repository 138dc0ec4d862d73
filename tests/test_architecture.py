"""The floors of the code: who may import whom, and which library.

Every import is read from the source, also those inside functions and those of
`importlib.import_module`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
import graphlib
import itertools
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ('morning_jax', 'configs', 'launch')

# Floor by floor, from the ground up. Imports run downwards; within a floor
# where no circle of rooms comes of it.
FLOORS = (
  ('core', 'configs'),
  ('losses', 'graph', 'reporting'),
  ('data', 'model', 'checkpoint'),
  ('evaluation', 'recommend', 'features', 'export'),
  ('training', 'serving', 'report'),
  ('comparison', 'benchmarks'),
  ('launch',),
)

# Library -> the rooms or modules that may import it.
LIBRARIES = {
  'HanTa': ('features.text.taggers',),
  'apache_beam': ('features.stages.beam',),
  'PIL': ('features', 'benchmarks'),
  'array_record': ('data.records',),
  'faiss': ('benchmarks',),
  'fastapi': ('serving',),
  'flatbuffers': (),  # by jax.export alone
  'grain': ('data.records',),
  'h11': ('serving.server',),
  'jinja2': ('report.page', 'serving.site'),
  'jraph': ('graph', 'model'),
  'lightgbm': ('comparison.methods',),
  'openpyxl': ('core.user_files',),
  'optax': ('training', 'graph.skip_gram', 'comparison.methods.trainer'),
  'orbax': ('checkpoint',),
  # Splits pickles into instructions, and does not carry them out.
  'pickletools': ('features.images.pickled_tensors',),
  'prometheus_client': ('serving.metrics',),
  'py3langid': ('features.text.languages',),
  'pyarrow': ('features.raw.blocks',),
  'pydantic': ('serving',),
  'simplemma': ('features.text.taggers',),
  'sklearn': ('benchmarks',),
  'spacy': ('features.text.taggers',),
  'safetensors': ('features.images.weights',),
  'starlette': ('serving',),
  'stopwordsiso': ('features.text.stop_words',),
  'tensorboardX': ('reporting',),
  'tensorflow_datasets': ('data.tfds',),
  'torch': ('benchmarks',),
  'uvicorn': ('serving.server', 'benchmarks'),
  'wordninja': ('features.text.hashtags',),
  'xlsxwriter': ('recommend.spreadsheet',),
  # Never: TensorFlow is not installed, and pickles run code.
  'tensorflow': (),
  'pickle': (),
  'cloudpickle': (),
  'dill': (),
  'joblib': (),
  'shelve': (),
}

# The one module that imports what a user names.
PLUGINS = 'morning_jax.core.plugins'

Sources = Mapping[str, str]  # module -> text


def sources() -> dict[str, str]:
  """Reads all modules; a package goes by its own name."""
  found = {}
  for package in PACKAGES:
    for path in sorted((ROOT / package).rglob('*.py')):
      parts = path.relative_to(ROOT).with_suffix('').parts
      if parts[-1] == '__init__':
        parts = parts[:-1]
      found['.'.join(parts)] = path.read_text(encoding='utf-8')
  return found


def imported(text: str) -> Iterator[str]:
  """Lists what a module imports, as dotted names; '.x' if relative."""
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      beginning = '.' * node.level + (node.module or '')
      yield from (f'{beginning}.{alias.name}' for alias in node.names)
    elif (
      isinstance(node, ast.Call)
      and ast.unparse(node.func).split('.')[-1]
      in ('import_module', '__import__')
      and node.args
    ):
      name = node.args[0]
      # A name that is made at run time could be any.
      known = isinstance(name, ast.Constant) and isinstance(name.value, str)
      yield name.value if known else '?'


def module_of(name: str, modules: Iterable[str]) -> str | None:
  """Returns the module that a dotted name is, or is a part of."""
  if name.split('.')[0] not in PACKAGES:
    return None
  while name not in modules:
    name = name.rpartition('.')[0]
  return name


def in_package(module: str) -> str:
  """Returns a module's name without that of the package."""
  return module.removeprefix('morning_jax').removeprefix('.')


def room_of(module: str) -> str:
  """Returns the room of a module; '' for the package itself."""
  return in_package(module).split('.')[0]


def edges_of(modules: Sources) -> list[tuple[str, str]]:
  """Returns which module imports which, no module itself."""
  edges = set()
  for module, text in modules.items():
    for name in imported(text):
      target = module_of(name, modules)
      if target not in (None, module):
        edges.add((module, target))
  return sorted(edges)


def circle(edges: Iterable[tuple[str, str]]) -> list[str]:
  """Returns a circle from its least node around to it again, or nothing."""
  following: dict[str, list[str]] = {}
  for start, end in edges:
    following.setdefault(start, []).append(end)
  try:
    graphlib.TopologicalSorter(following).prepare()
  except graphlib.CycleError as e:
    ring = e.args[1][:0:-1]
    first = ring.index(min(ring))
    return [*ring[first:], *ring[: first + 1]]
  return []


def strangers(modules: Sources) -> list[str]:
  """Lists modules that are in no room of the table."""
  rooms = {room for floor in FLOORS for room in floor}
  found = []
  for module in modules:
    loose = module.startswith('morning_jax.') and module.count('.') == 1
    is_room = any(m.startswith(f'{module}.') for m in modules)
    if module == 'morning_jax':
      continue
    if room_of(module) not in rooms:
      found.append(f'{module} is in no room of the table')
    elif loose and not is_room:
      found.append(f'{module} is a module and no room')
  return found


def wrong_ways(modules: Sources) -> list[str]:
  """Lists imports that run upwards, and circles of rooms and modules."""
  floor = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
  floor[''] = -1  # the package itself imports nothing
  edges = edges_of(modules)
  found = [
    f'{a} imports {b}, which is above it'
    for a, b in edges
    if floor[room_of(b)] > floor[room_of(a)]
  ]
  rooms = {
    (room_of(a), room_of(b)): f'{a} -> {b}'
    for a, b in edges
    if room_of(a) != room_of(b) and floor[room_of(a)] == floor[room_of(b)]
  }
  if ring := circle(rooms):
    why = ', '.join(rooms[step] for step in itertools.pairwise(ring))
    found.append(f'{" and ".join(sorted(set(ring)))} import each other: {why}')
  if ring := circle(edges):
    found.append('a circle of modules: ' + ' -> '.join(ring))
  return found


def wrong_libraries(modules: Sources) -> list[str]:
  """Lists libraries that are imported where they may not be."""
  found = []
  for module, text in modules.items():
    own = in_package(module)
    for name in imported(text):
      if name.startswith('.') or (name == '?' and module != PLUGINS):
        found.append(f'{module} imports {name}, which is no absolute name')
      allowed = LIBRARIES.get(name.split('.')[0])
      if allowed is not None and not any(
        own == a or own.startswith(f'{a}.') for a in allowed
      ):
        found.append(f'{module} may not import {name}')
    for node in ast.walk(ast.parse(text)):
      if (
        isinstance(node, ast.keyword)
        and node.arg == 'allow_pickle'
        and ast.unparse(node.value) != 'False'
      ):
        found.append(f'{module} may load a pickle')
  return found


def test_every_module_is_in_a_room():
  assert strangers(sources()) == []


def test_imports_run_downwards_without_circles():
  assert sorted(wrong_ways(sources())) == []


def test_libraries_are_imported_in_their_rooms_alone():
  assert wrong_libraries(sources()) == []


def test_configurations_import_nothing_of_the_package():
  for module, text in sources().items():
    if room_of(module) == 'configs':
      for name in imported(text):
        assert name.split('.')[0] not in ('morning_jax', 'launch'), module


HOUSE = {
  'morning_jax': '',
  'morning_jax.core': '',
  'morning_jax.core.files': 'import json',
  'morning_jax.data': '',
  'morning_jax.data.splits': 'from morning_jax.core import files',
  'morning_jax.model': '',
  'morning_jax.model.factory': 'from morning_jax.data import splits',
  'morning_jax.training': '',
  'morning_jax.training.run': 'from morning_jax.model.factory import build',
}


def test_a_house_in_order_is_not_accused():
  assert strangers(HOUSE) == wrong_ways(HOUSE) == wrong_libraries(HOUSE) == []


@pytest.mark.parametrize(
  ('module', 'text', 'message'),
  [
    ('morning_jax.core.files', 'import morning_jax.data.splits', 'above it'),
    (
      'morning_jax.data.splits',
      'def f():\n  from morning_jax.training import run',
      'above it',
    ),
    (
      'morning_jax.data.splits',
      'import importlib\n'
      "x = importlib.import_module('morning_jax.training.run')",
      'above it',
    ),
    ('morning_jax.core.files', 'import morning_jax.training', 'above it'),
    (
      'morning_jax.data.splits',
      'from morning_jax.model.factory import build',
      'data and model import each other: morning_jax.data.splits ->'
      ' morning_jax.model.factory, morning_jax.model.factory ->'
      ' morning_jax.data.splits',
    ),
    (
      'morning_jax.training.step',
      'from morning_jax.training import run',
      'a circle of modules: morning_jax.training.run ->'
      ' morning_jax.training.step -> morning_jax.training.run',
    ),
    ('morning_jax.accounts', '', 'is in no room'),
    ('morning_jax.core', None, 'is a module and no room'),
    ('morning_jax.attic.old', '', 'is in no room'),
    ('morning_jax.data.splits', 'import tensorflow as tf', 'may not import'),
    ('morning_jax.data.splits', 'import tensorflow_datasets', 'may not'),
    ('morning_jax.training.run', 'from orbax import checkpoint', 'may not'),
    ('morning_jax.data.splits', 'from . import files', 'no absolute name'),
    (
      'morning_jax.data.splits',
      'import importlib\nimportlib.import_module(name)',
      'no absolute name',
    ),
    ('morning_jax.core.plugins', 'from . import files', 'no absolute name'),
    ('launch.train', 'import pickle', 'launch.train may not import pickle'),
    ('launch.train', 'np.load(f, allow_pickle=True)', 'load a pickle'),
  ],
)
def test_what_is_wrong_is_noticed(module, text, message):
  house = {**HOUSE, module: text or ''}
  if module == 'morning_jax.training.step':
    house['morning_jax.training.run'] = 'import morning_jax.training.step'
  if text is None:
    del house[f'{module}.files']
    house['morning_jax.data.splits'] = ''
  found = [*strangers(house)]
  if not found:
    found = [*wrong_ways(house), *wrong_libraries(house)]
  assert any(message in line for line in found), found
