"""Indexes on disk: what a stop, damage or a full disk leaves of them."""

import errno
import json
import os
import pathlib
import sys

from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import sharding
from morning_jax.losses import pairwise
from morning_jax.model import morning
from morning_jax.recommend import index as index_lib
from morning_jax.recommend import top_k as top_k_lib
from morning_jax.recommend import top_k_sharded
from tests import runs

OPTIONS = {'num_rows': 50, 'width': 4, 'fingerprint': 'one', 'batch_rows': 8}
VECTORS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)


class Encoder:
  """Returns rows of `VECTORS`; stops once, before its call number `stop`."""

  def __init__(self, stop: int | None = None):
    self.calls: list[int] = []
    self._stop = stop

  def __call__(self, first: int, last: int) -> np.ndarray:
    self.calls.append(first)
    if len(self.calls) - 1 == self._stop:
      raise KeyboardInterrupt
    return VECTORS[first:last]


def stopped(path: pathlib.Path) -> None:
  """Leaves 24 rows and the note of them."""
  with pytest.raises(KeyboardInterrupt):
    index_lib.build_index(Encoder(3), path, **OPTIONS)


def beside(path: pathlib.Path, suffix: str) -> pathlib.Path:
  return path.with_name(path.name + suffix)


@pytest.fixture
def path(tmp_path) -> pathlib.Path:
  return tmp_path / 'catalogue.npy'


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_encoding_goes_on_where_it_stopped(path, dtype):
  encode = Encoder(3)
  options = {**OPTIONS, 'dtype': dtype}
  with pytest.raises(KeyboardInterrupt):
    index_lib.build_index(encode, path, **options)
  assert not path.exists()
  catalogue = index_lib.build_index(encode, path, **options)
  assert encode.calls == [0, 8, 16, 24, 24, 32, 40, 48]
  want = VECTORS.astype(jnp.bfloat16) if dtype == 'bfloat16' else VECTORS
  np.testing.assert_array_equal(np.asarray(catalogue), want)
  assert catalogue.dtype == want.dtype
  assert isinstance(catalogue, np.memmap)
  # Complete: nothing is encoded; of another model: all is.
  index_lib.build_index(encode, path, **options)
  assert len(encode.calls) == 8
  index_lib.build_index(encode, path, **{**options, 'fingerprint': 'two'})
  assert len(encode.calls) == 15


def test_no_order_of_kills_leaves_a_wrong_index(tmp_path):
  """Follows what a kill at any line leaves, for any order of indexes."""
  wanted = {
    'one': {'width': 2, 'dtype': 'float32'},
    'two': {'width': 2, 'dtype': 'float32'},
    'wide': {'width': 3, 'dtype': 'float32'},
  }
  Disk = frozenset[tuple[str, bytes]]

  def disk() -> Disk:
    # Without drafts of the note, which no one reads.
    return frozenset(
      (p.name, p.read_bytes())
      for p in tmp_path.iterdir()
      if not p.name.endswith('.draft')
    )

  def left_by_kills(before: Disk, name: str) -> set[Disk]:
    for p in tmp_path.iterdir():
      p.unlink()
    for file, content in before:
      (tmp_path / file).write_bytes(content)
    left = set()

    def at_line(frame, event, arg):
      if frame.f_code.co_filename not in (index_lib.__file__, files.__file__):
        return None
      left.add(disk())
      return at_line

    options = wanted[name]
    value = 1.0 + list(wanted).index(name)
    former = sys.gettrace()
    sys.settrace(at_line)
    try:
      found = index_lib.build_index(
        lambda first, last: np.full((last - first, options['width']), value),
        tmp_path / 'c.npy',
        num_rows=3,
        batch_rows=2,
        fingerprint=name,
        **options,
      )
    finally:
      sys.settrace(former)
    assert found.shape == (3, options['width'])
    assert found.dtype == options['dtype']
    assert (np.asarray(found) == value).all(), (name, found, before)
    return left | {disk()}

  seen: set[Disk] = {disk()}
  ahead = list(seen)
  while ahead:
    before = ahead.pop()
    for name in wanted:
      new = left_by_kills(before, name) - seen
      seen |= new
      ahead += new
  # Former indexes beside parts of others, at the least.
  assert len(seen) > 3 * 3


def test_rows_are_on_disk_before_the_note_counts_them(path, monkeypatch):
  sync, part = os.fsync, beside(path, '.part')
  flushed = []

  def stop_at_the_third(handle):
    is_part = os.path.samestat(os.fstat(handle), os.stat(part))
    if is_part and len(flushed) == 2:
      raise KeyboardInterrupt
    sync(handle)
    if is_part:
      flushed.append(np.count_nonzero(index_lib.open_index(part)[:, 0]))

  monkeypatch.setattr(os, 'fsync', stop_at_the_third)
  with pytest.raises(KeyboardInterrupt):
    index_lib.build_index(Encoder(), path, **OPTIONS)
  assert flushed == [8, 16]
  assert json.loads(beside(path, '.json').read_text())['done'] == 16


@pytest.mark.parametrize(
  'text',
  [
    '',
    '{"done"',
    '{}',
    '[]',
    'null',
    '7',
    '{"done": 24}',
    '\xff',
    '[' * 99_999,
  ],
)
def test_a_damaged_note_counts_nothing(path, text):
  stopped(path)
  beside(path, '.json').write_bytes(text.encode('latin-1'))
  encode = Encoder()
  found = index_lib.build_index(encode, path, **OPTIONS)
  assert encode.calls[0] == 0
  np.testing.assert_array_equal(found, VECTORS)


@pytest.mark.parametrize('done', [-8, 51, 24.5, '24', None, True])
def test_a_note_of_impossible_rows_counts_nothing(path, done):
  stopped(path)
  note = beside(path, '.json')
  note.write_text(json.dumps({**json.loads(note.read_text()), 'done': done}))
  encode = Encoder()
  found = index_lib.build_index(encode, path, **OPTIONS)
  assert encode.calls[0] == 0
  np.testing.assert_array_equal(found, VECTORS)


DAMAGE = {
  'short': lambda data: data[:400],
  'no rows': lambda data: data[:128],
  'header cut': lambda data: data[:100],
  'empty': lambda data: b'',
  'long': lambda data: data + b'0',
  'other type': lambda data: data.replace(b'<f4', b'<i4'),
  'other shape': lambda data: data.replace(b'(50, 4)', b'(40, 5)'),
  'open bracket': lambda data: data.replace(b'4), }', b'4(, }'),
  'no type': lambda data: data.replace(b'<f4', b',f4'),
  'text': lambda data: b'hello' * 200,
}


@pytest.mark.parametrize('damage', DAMAGE)
@pytest.mark.parametrize('complete', [False, True])
def test_a_damaged_file_is_encoded_again(path, complete, damage):
  if complete:
    index_lib.build_index(Encoder(), path, **OPTIONS)
  else:
    stopped(path)
  file = path if complete else beside(path, '.part')
  data = file.read_bytes()
  damaged = DAMAGE[damage](data)
  assert damaged != data
  file.write_bytes(damaged)
  encode = Encoder()
  found = index_lib.build_index(encode, path, **OPTIONS)
  assert encode.calls[0] == 0
  np.testing.assert_array_equal(found, VECTORS)


@pytest.mark.skipif(
  not hasattr(os, 'posix_fallocate'), reason='this system allocates no space'
)
def test_a_full_disk_is_named_before_anything_is_encoded(path, monkeypatch):
  sizes = []

  def full(fd, offset, size):
    assert offset == 0
    sizes.append(size)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(os, 'posix_fallocate', full)
  encode = Encoder()
  with pytest.raises(
    errors.UserError, match=r'catalogue\.npy\.part: .*No space left'
  ):
    index_lib.build_index(encode, path, **OPTIONS)
  assert not encode.calls
  # The space is free for others again.
  assert not list(path.parent.iterdir())
  assert sizes == [128 + VECTORS.nbytes]
  # Rows that are done stay.
  monkeypatch.undo()
  stopped(path)
  monkeypatch.setattr(os, 'posix_fallocate', full)
  with pytest.raises(errors.UserError, match='No space left'):
    index_lib.build_index(encode, path, **OPTIONS)
  monkeypatch.undo()
  index_lib.build_index(encode, path, **OPTIONS)
  assert encode.calls[0] == 24


def test_what_cannot_be_written_is_named(path, monkeypatch):
  def refuse(**options):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))

  with pytest.raises(errors.UserError, match=r'absent.*No such file'):
    index_lib.build_index(
      Encoder(), path.parent / 'absent' / path.name, **OPTIONS
    )
  with monkeypatch.context() as patch:
    patch.setattr(files.tempfile, 'mkstemp', refuse)
    with pytest.raises(errors.UserError, match=r'npy\.json: .*Read-only'):
      index_lib.build_index(Encoder(), path, **OPTIONS)
  path.mkdir()
  with pytest.raises(errors.UserError, match=r'catalogue\.npy: .*directory'):
    index_lib.build_index(Encoder(), path, **OPTIONS)


def test_an_error_of_the_encoder_stays_what_it_is(path):
  def encode(first, last):
    raise OSError('of the encoder')

  with pytest.raises(OSError, match='of the encoder'):
    index_lib.build_index(encode, path, **OPTIONS)


def test_a_file_that_is_no_index(tmp_path):
  np.save(tmp_path / 'flat.npy', np.zeros(3, np.float32))
  np.savez(tmp_path / 'archive.npz', np.zeros((3, 3), np.float32))
  np.save(tmp_path / 'good.npy', VECTORS)
  for damage in ('text', 'empty', 'short', 'open bracket', 'no type'):
    good = (tmp_path / 'good.npy').read_bytes()
    (tmp_path / f'{damage}.npy').write_bytes(DAMAGE[damage](good))
  (tmp_path / 'good.npy').unlink()
  os.mkfifo(tmp_path / 'pipe.npy')  # nobody writes to it
  for name in [*(p.name for p in tmp_path.iterdir()), 'absent.npy']:
    with pytest.raises(errors.UserError, match=name) as e:
      index_lib.open_index(tmp_path / name)
    assert '\n' not in str(e.value)


def test_the_models_index_ranks_as_all_its_scores_do(tmp_path):
  bundle = runs.write_bundle(tmp_path / 'bundle')
  # A batch size that divides no block of the catalogue.
  config = runs.config(bundle, evaluation__batch_size=24)
  run, state = runs.start(config, tmp_path / 'run')
  params = state.params
  # Without those that fill up the shards: they are all the same account.
  brand_row_B = np.asarray(run.data.brand_row_B)[: run.num_brands]
  num_candidates = int(run.data.lists.num_candidates)
  candidate_row_M = np.asarray(run.data.candidate_row_M)[:num_candidates]

  def encode(role, rows):
    parts = run.scorer.encode(params, rows, role=role)
    # The sum of the perspectives' inner products is that of the joined rows.
    return jnp.concatenate([parts[k] for k in sorted(parts)], axis=1)

  brand_BxD = np.asarray(encode('brand', brand_row_B))
  path = tmp_path / 'catalogue.npy'
  index_lib.build_index(
    lambda first, last: encode('influencer', candidate_row_M[first:last]),
    path,
    num_rows=len(candidate_row_M),
    width=brand_BxD.shape[1],
    fingerprint='one',
    batch_rows=31,
  )
  catalogue_MxD = index_lib.open_index(path)
  scores = morning.scores_of_all(
    run.scorer.encode(params, brand_row_B, role='brand'),
    run.scorer.encode(params, candidate_row_M, role='influencer'),
  )
  assert len(scores) > 1
  score_BxM = np.asarray(pairwise.join(scores))
  row_Bxk = np.argsort(-score_BxM, axis=1, kind='stable')[:, :20]
  score_Bxk = np.take_along_axis(score_BxM, row_Bxk, axis=1)
  mesh = sharding.make_mesh(data=8)
  for found in (
    top_k_lib.top_k(brand_BxD, catalogue_MxD, k=20, block_rows=50),
    top_k_sharded.top_k(
      jnp.asarray(brand_BxD),
      sharding.put_rows(catalogue_MxD, mesh),
      k=20,
      num_rows=len(catalogue_MxD),
      mesh=mesh,
      block_rows=7,
    ),
  ):
    np.testing.assert_allclose(found.scores, score_Bxk, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.rows, row_Bxk)
