"""Weights: found, checked, fetched when that is allowed, converted."""

import functools
import hashlib
import http.server
import os
import threading

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from morning_jax.core import errors
from morning_jax.features.images import torch_file
from morning_jax.features.images import weights
from tests.features.images import torch_files as made

ARRAYS = {
  'a.weight': np.arange(6, dtype=np.float32).reshape(2, 3),
  'b': np.array([1.5, -2.0], ml_dtypes.bfloat16),
}


@pytest.fixture
def file(tmp_path):
  path = tmp_path / 'mine.safetensors'
  safetensors.numpy.save_file(ARRAYS, path)
  return path


def sha(path):
  return hashlib.sha256(path.read_bytes()).hexdigest()


def load(source, folder=None, download=False):
  return weights.load(
    source,
    folder=None if folder is None else str(folder),
    download=download,
    wanted_by='imagenet-resnet50',
  )


def test_safetensors_are_read_with_their_digest(file, tmp_path):
  for source, folder in (
    (weights.Source('mine.safetensors'), tmp_path),
    (weights.Source('mine.safetensors', sha256=sha(file)[:8]), tmp_path),
    (weights.Source(str(file), sha256=sha(file)), None),
    (weights.Source(str(file)), tmp_path / 'elsewhere'),
  ):
    found = load(source, folder)
    assert found.sha256 == sha(file) and found.path == file
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
      assert found.arrays[name].dtype == array.dtype
      np.testing.assert_array_equal(found.arrays[name], array)


def test_another_file_than_the_known_one_is_refused(file):
  source = weights.Source(str(file), sha256='0' * 64)
  with pytest.raises(weights.WeightsError, match='has the SHA-256') as caught:
    load(source)
  message = str(caught.value)
  assert sha(file)[:12] in message and 'imagenet-resnet50:FILE' in message
  assert len(message) <= 300 and '\n' not in message


@pytest.mark.parametrize('download', [False, True])
def test_what_is_missing_is_said_with_where_it_comes_from(tmp_path, download):
  source = weights.Source(
    'known.safetensors',
    url=None if download else 'https://example.org/known.safetensors',
    sha256='ab' * 32,
    licence='BSD-3-Clause',
    megabytes=102,
  )
  with pytest.raises(weights.WeightsError) as caught:
    load(source, tmp_path, download=download)
  message = str(caught.value)
  assert len(message) <= 300 and '\n' not in message
  if download:
    assert "there is no file 'known.safetensors'" in message
    return
  for words in (
    'imagenet-resnet50 needs known.safetensors (102 MB, BSD-3-Clause)',
    f'in {str(tmp_path)[:50]!r}'[:-1],
    'get https://example.org/known.safetensors',
    'say --download',
  ):
    assert words in message
  assert 'without pictures' not in message
  assert not os.listdir(tmp_path)


def test_without_a_folder_both_ways_on_are_said():
  with pytest.raises(weights.WeightsError) as caught:
    load(weights.Source('known.pth', url='https://example.org/known.pth'))
  message = str(caught.value)
  assert 'in the folder that --weights names' in message
  assert '--image_encoder=none goes on without pictures' in message
  assert len(message) <= 300 and '\n' not in message


@pytest.mark.parametrize(
  ('content', 'name'),
  [
    (b'', 'a.safetensors'),
    (b'\xff' * 100, 'a.safetensors'),
    (b'\x08\0\0\0\0\0\0\0{"a":99}', 'a.safetensors'),
    (b'', 'a.pth'),
    (b'GIF89a', 'a.pth.tar'),
  ],
)
def test_broken_files_are_one_line(tmp_path, content, name):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(errors.UserError) as caught:
    load(weights.Source(name), tmp_path)
  message = str(caught.value)
  assert message.startswith(f'{tmp_path / name}: ') and '\n' not in message
  assert len(message) <= 300


def test_a_cut_safetensors_file_is_refused(file):
  content = file.read_bytes()
  for size in (4, 20, len(content) - 1):
    file.write_bytes(content[:size])
    with pytest.raises(weights.WeightsError, match='no readable safetensors'):
      load(weights.Source(str(file)))


def test_what_is_no_file_is_refused(tmp_path):
  os.mkfifo(tmp_path / 'pipe.safetensors')
  (tmp_path / 'link.safetensors').symlink_to('nowhere')
  (tmp_path / 'folder.safetensors').mkdir()
  for name, words in (
    ('pipe', 'a pipe'),
    ('link', 'a link to a file'),
    ('folder', 'a folder'),
  ):
    with pytest.raises(weights.WeightsError, match=words):
      load(weights.Source(f'{name}.safetensors'), tmp_path)


def test_how_weights_are_named():
  assert weights.parse('/a/b.pth') == weights.Source('/a/b.pth')
  assert weights.parse('b.pth#ABCDEF01') == weights.Source(
    'b.pth', sha256='abcdef01'
  )
  assert weights.parse('hf:timm/resnet50.a1_in1k#sha256=' + 'a' * 64) == (
    weights.Source(
      'timm--resnet50.a1_in1k--model.safetensors',
      url='https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/'
      'model.safetensors',
      sha256='a' * 64,
    )
  )
  assert weights.parse('hf:me/net@v2/sub/w.bin').url == (
    'https://huggingface.co/me/net/resolve/v2/sub/w.bin'
  )
  for text in (
    '',
    '#abcdef01',
    'b.pth#123',
    'b.pth#' + 'g' * 64,
    'hf:timm',
    'hf:../../etc/passwd',
    'hf:a/b/../../c',
    'hf:a/b?x=1',
    'hf:a b/c',
  ):
    with pytest.raises(weights.WeightsError):
      weights.parse(text)


class _Handler(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *_):
    pass

  def do_GET(self):
    if self.path != '/short':
      super().do_GET()
      return
    self.send_response(200)
    self.send_header('Content-Length', '1000')
    self.end_headers()
    self.wfile.write(b'short')


@pytest.fixture
def server(tmp_path):
  """A web server of a folder; its address and the folder."""
  folder = tmp_path / 'served'
  folder.mkdir()
  handler = functools.partial(_Handler, directory=str(folder))
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{running.server_port}', folder
    running.shutdown()
    thread.join()


def test_weights_are_fetched_once_and_only_if_allowed(server, tmp_path):
  address, served = server
  safetensors.numpy.save_file(ARRAYS, served / 'w.safetensors')
  source = weights.Source(
    'got.safetensors',
    url=f'{address}/w.safetensors',
    sha256=sha(served / 'w.safetensors'),
  )
  folder = tmp_path / 'new' / 'folder'
  with pytest.raises(weights.WeightsError, match='needs got'):
    load(source, folder)
  assert not folder.exists()
  found = load(source, folder, download=True)
  assert found.arrays.keys() == ARRAYS.keys()
  assert os.listdir(folder) == ['got.safetensors']
  (served / 'w.safetensors').unlink()
  assert load(source, folder, download=True).sha256 == found.sha256


def test_a_download_that_is_another_file_leaves_nothing(server, tmp_path):
  address, served = server
  (served / 'w.safetensors').write_bytes(b'evil')
  folder = tmp_path / 'folder'

  def fetch(path, sha256='ab' * 32):
    source = weights.Source('g', url=f'{address}/{path}', sha256=sha256)
    load(source, folder, download=True)

  with pytest.raises(weights.WeightsError, match='it is not kept'):
    fetch('w.safetensors')
  with pytest.raises(weights.WeightsError, match='its SHA-256 is not known'):
    fetch('w.safetensors', '')
  with pytest.raises(errors.TransientError, match='could not be fetched'):
    fetch('absent')
  with pytest.raises(errors.TransientError, match=r'broke off|be fetched'):
    fetch('short')
  assert not folder.exists() or not os.listdir(folder)


@pytest.mark.parametrize('path', [made.NEW, made.OLD], ids=['new', 'old'])
def test_conversion_changes_no_number(tmp_path, path):
  target = tmp_path / 'w.safetensors'
  assert weights.convert(path, target) == len(made.expected())
  found = weights.read(target)
  for name, array in torch_file.read(path).items():
    assert found[name].dtype == array.dtype
    assert found[name].shape == array.shape
    assert found[name].tobytes() == array.tobytes()
  with pytest.raises(weights.WeightsError, match='should have a name'):
    weights.convert(path, tmp_path / 'w.pth')
  with pytest.raises(weights.WeightsError, match='No such file'):
    weights.convert(path, tmp_path / 'absent' / 'w.safetensors')
  assert os.listdir(tmp_path) == ['w.safetensors']
