"""Bundles with every kind of strangeness: a data set, or one line.

Every kind once runs with the other tests. The long run draws thousands of
bundles with one to four kinds each:

  MORNING_FUZZ_CASES=10000 MORNING_FUZZ_SEED=0 \
    pytest -m slow tests/attack/test_bundle_fuzz.py -s

What a bundle must end in: a data set that holds together and is read back as it
is once it is written, or an error of one line of at most 300 characters. No
other exception, no warning, nothing on stderr, no hang, nothing left over.
"""

import collections
import contextlib
import gc
import os
import pathlib
import shutil
import signal
import stat
import traceback
import warnings

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle
from morning_jax.graph import attribute_graph
from tests.attack import mutation
from tests.attack import mutations_of_arrays  # noqa: F401
from tests.attack import mutations_of_files  # noqa: F401
from tests.attack import mutations_of_tables  # noqa: F401
from tests.attack import mutations_of_values  # noqa: F401
from tests.data.bundle.test_bundle import assert_same

_CASES = int(os.environ.get('MORNING_FUZZ_CASES', '10000'))
_SEED = int(os.environ.get('MORNING_FUZZ_SEED', '0'))
_SECONDS = int(os.environ.get('MORNING_FUZZ_SECONDS', '120'))  # is a hang

KINDS = sorted(mutation.MUTATIONS)


class Hang(BaseException):
  """Reading took too long; nothing may catch it."""


@contextlib.contextmanager
def _alarm():
  def ring(*_):
    raise Hang

  before = signal.signal(signal.SIGALRM, ring)
  signal.alarm(_SECONDS)
  try:
    yield
  finally:
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _tree(folder: pathlib.Path) -> dict[str, tuple[int, int, int]]:
  """What is where, without following links or opening anything."""
  found = {}
  for root, folders, files in os.walk(folder):
    for name in folders + files:
      path = os.path.join(root, name)
      status = os.lstat(path)
      found[path] = (status.st_mode, status.st_size, status.st_mtime_ns)
  return found


def _open_files() -> int:
  gc.collect()
  return len(os.listdir('/proc/self/fd'))


def _check_line(error: errors.UserError, folder: pathlib.Path) -> str:
  message = str(error)
  assert message.isprintable(), message
  assert len(message) <= 300, message
  # It names the file, unless its path is longer than a line.
  assert folder.name in message, message
  return message


def _check_dataset(data: accounts_lib.Dataset) -> None:
  """Checks what everything behind the reader relies on."""
  a = data.accounts
  count = len(a)
  brands, influencers = (a.roles == r for r in (0, 1))
  assert (brands | influencers).all() and brands.any() and influencers.any()
  assert len(set(zip(a.roles.tolist(), a.ids.tolist(), strict=True))) == count
  assert (a.ids != '').all()
  assert set(a.splits[brands].tolist()) <= set(accounts_lib.SPLITS)
  assert (a.splits[influencers] == '').all()
  for column in (a.categories, a.found_under, a.biographies):
    assert column is None or (len(column) == count and column.dtype.kind == 'U')
  if a.followers is not None:
    assert a.followers.dtype == np.int64 and (a.followers >= -1).all()
  pairs = data.positives_Px2
  assert pairs.dtype == np.int64 and len(pairs) and pairs.shape[1] == 2
  assert brands[pairs[:, 0]].all() and influencers[pairs[:, 1]].all()
  assert len(np.unique(pairs, axis=0)) == len(pairs)
  arrays = dict(data.features)
  assert set(arrays) <= set(accounts_lib.FEATURES)
  if data.planted is not None:
    arrays['planted'] = data.planted
  for name, array in arrays.items():
    assert array.dtype == np.float32 and array.ndim == 2
    assert len(array) == count and array.shape[1]
    lacks = np.isnan(array).all(axis=1)
    assert np.isfinite(array[~lacks]).all()
    assert name not in accounts_lib.TOPIC_FEATURES or not (array < 0).any()
  for note in data.notes:
    assert note.isprintable() and len(note) <= 300, note
  if data.attributes is not None:
    _check_attributes(data.attributes, count)
  else:
    assert data.features


def _check_attributes(s: accounts_lib.Attributes, count: int) -> None:
  names, ids = s.names_V.tolist(), s.ids_V.tolist()
  assert len(names) == len(ids) == len(set(names)) == len(set(ids)) > 0
  assert '' not in names and '' not in ids
  assert ((s.holder >= 0) & (s.holder < count)).all()
  assert ((s.held >= 0) & (s.held < len(names))).all()
  held = list(zip(s.holder.tolist(), s.held.tolist(), strict=True))
  assert held == sorted(set(held))
  assert (s.edges_Ex2 is None) == (s.weight_E is None)
  if s.edges_Ex2 is not None:
    assert len(s.edges_Ex2) == len(s.weight_E) > 0
    assert ((s.edges_Ex2 >= 0) & (s.edges_Ex2 < len(names))).all()
    assert (s.edges_Ex2[:, 0] != s.edges_Ex2[:, 1]).all()
    assert len(np.unique(s.edges_Ex2, axis=0)) == len(s.edges_Ex2)
    assert s.weight_E.dtype == np.float32
    assert np.isfinite(s.weight_E).all() and (s.weight_E > 0).all()


def _outcome(folder: pathlib.Path, copy: pathlib.Path) -> tuple[str, str]:
  """Reads a strange bundle and checks what comes of it.

  Returns:
    READ and '', or REFUSED and the message.
  """
  before = _tree(folder.parent)
  try:
    with _alarm():
      data = bundle.read_bundle(folder)
  except errors.UserError as e:
    assert _tree(folder.parent) == before
    return mutation.REFUSED, _check_line(e, folder)
  assert _tree(folder.parent) == before
  _check_dataset(data)
  if data.attributes is not None:
    try:
      attribute_graph.build_graph(data)
    except errors.UserError as e:
      assert len(str(e)) <= 300 and str(e).isprintable()
  with _alarm():
    bundle.write_bundle(data, copy)
    assert_same(bundle.read_bundle(copy), data)
  return mutation.READ, ''


@pytest.fixture(scope='module')
def base(tmp_path_factory):
  """The bundle that is mutated; in the end, no file is left open."""
  folder = tmp_path_factory.mktemp('base') / 'base'
  mutation.write_base(folder)
  bundle.read_bundle(folder)  # imports what it needs
  files = _open_files()
  yield folder
  assert _open_files() == files


def _has_no_end(path: pathlib.Path) -> bool:
  """Whether a file is a pipe, a device or huge; links are followed."""
  try:
    found = path.stat()
  except OSError:
    return False
  is_plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
  return not is_plain or found.st_size > 1 << 30


def _run(
  base: pathlib.Path, where: pathlib.Path, kinds: list[str], seed: list[int]
) -> tuple[str, str]:
  """Makes a bundle of some kinds of strangeness, reads it, and cleans up."""
  rng = np.random.default_rng(seed)
  place = where / 'place'
  folder = place / 'strange'
  shutil.copytree(base, folder)
  try:
    for name in kinds:
      if any(map(_has_no_end, folder.rglob('*'))):
        break  # the next one might read or copy it
      # What an earlier one changed may not be there to be changed any more.
      combined = len(kinds) > 1
      with (
        _alarm(),
        contextlib.suppress(Exception)
        if combined
        else contextlib.nullcontext(),
        warnings.catch_warnings(),
      ):
        warnings.simplefilter('ignore')
        mutation.MUTATIONS[name].apply(folder, rng)
    return _outcome(folder, where / 'copy')
  finally:
    shutil.rmtree(place)
    shutil.rmtree(where / 'copy', ignore_errors=True)


@pytest.fixture
def where(tmp_path, monkeypatch):
  """A folder in which nothing is left in the end; warnings are errors."""
  # Waiting for the disk is not what is tested.
  monkeypatch.setattr(os, 'fsync', lambda handle: None)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    yield tmp_path
  assert not list(tmp_path.iterdir())


def test_the_bundle_that_is_mutated_is_read(base, where):
  assert _run(base, where, [], [0]) == (mutation.READ, '')


def test_there_are_kinds_of_every_level():
  count = collections.Counter(m.level for m in mutation.MUTATIONS.values())
  assert set(count) == {'csv', 'encoding', 'value', 'npy', 'files'}
  assert len(KINDS) >= 60 and min(count.values()) >= 8


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind(base, where, capfd, kind):
  for draw in range(3):
    outcome, message = _run(base, where, [kind], [_SEED, draw])
    expected = mutation.MUTATIONS[kind].becomes
    assert expected in (mutation.EITHER, outcome), message
  assert capfd.readouterr() == ('', '')


@pytest.mark.slow
def test_thousands_of_strange_bundles(base, where, capfd):
  """Prints the figures; a failure names the seed and the kinds."""
  failures: list[str] = []
  count: collections.Counter[str] = collections.Counter()
  longest = 0
  for case in range(_CASES):
    rng = np.random.default_rng([_SEED, case])
    # Half of them have one kind, as every kind should have its own errors seen.
    number = 1 if rng.integers(2) else int(rng.integers(2, 5))
    kinds = [str(k) for k in rng.choice(KINDS, number, replace=False)]
    try:
      outcome, message = _run(base, where, kinds, [_SEED, case, 1])
      count[outcome] += 1
      longest = max(longest, len(message))
      if number == 1:
        expected = mutation.MUTATIONS[kinds[0]].becomes
        assert expected in (mutation.EITHER, outcome), message
      assert capfd.readouterr() == ('', '')
    except (Exception, Hang):
      failures.append(
        f'case {case} of seed {_SEED}, {kinds}:\n{traceback.format_exc()}'
      )
      count['failed'] += 1
  with capfd.disabled():
    print(
      f'\n{_CASES:,} bundles of {len(KINDS)} kinds, seed {_SEED}:'
      f' {dict(count)}, longest line {longest} characters'
    )
  assert not failures, '\n'.join(failures[:5])
