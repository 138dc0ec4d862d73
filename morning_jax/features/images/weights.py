"""Trained weights: which file, where from, whether it is the right one.

Nothing is downloaded unless it is asked for. A file that is known here must
have the SHA-256 that is known; any other file can be named instead.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import os
import pathlib
import re
from typing import BinaryIO
import urllib.error
import urllib.request

import numpy as np
import safetensors
import safetensors.numpy

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files
from morning_jax.features.images import torch_file

_HUB = 'https://huggingface.co'
_SAFETENSORS = '.safetensors'
_TIMEOUT = 60  # seconds without any byte
_CHUNK = 1 << 20
_MOST_BYTES = 4 << 30  # of a download whose size is not known
_HUB_ID = re.compile(
  r'hf:(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(?:@(?P<revision>[\w.-]+))?'
  r'(?:/(?P<file>[\w./-]+))?'
)
_HEX = re.compile(r'[0-9a-f]{8,64}')


class WeightsError(errors.UserError):
  """Weights are not there, or are not what they should be."""


@dataclasses.dataclass(frozen=True)
class Source:
  """A file of weights.

  Attributes:
    file: its name in the folder of weights, or a path.
    url: where it can be had; None: nowhere that is known.
    sha256: of its content in hexadecimal, or how that begins; '' if unknown.
    licence: of the weights; '' if unknown.
    megabytes: its size, about; 0 if unknown.
  """

  file: str
  url: str | None = None
  sha256: str = ''
  licence: str = ''
  megabytes: int = 0


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights as PyTorch names them.

  Attributes:
    path: the file.
    arrays: name -> array.
    sha256: of the file.
  """

  path: pathlib.Path
  arrays: Mapping[str, np.ndarray]
  sha256: str


def parse(text: str) -> Source:
  """Reads how a user names weights.

  Args:
    text: a path, or `hf:OWNER/NAME[@REVISION][/FILE]`, a file of the Hugging
      Face hub (`model.safetensors` if not said); then `#SHA256` or its first 8
      digits or more, which a download must have.

  Raises:
    WeightsError: it is neither.
  """
  place, _, sha256 = text.partition('#')
  sha256 = sha256.lower().removeprefix('sha256=')
  if sha256 and not _HEX.fullmatch(sha256):
    raise WeightsError(
      f'{errors.quoted(text)}: behind # come 8 to 64 hexadecimal digits of the'
      " file's SHA-256"
    )
  if not place.startswith('hf:'):
    if not place:
      raise WeightsError(f'{errors.quoted(text)}: names no file')
    return Source(file=place, sha256=sha256)
  hub = _HUB_ID.fullmatch(place)
  if hub is None or '..' in place:
    raise WeightsError(
      f'{errors.quoted(text)}: a file of the Hugging Face hub is named'
      ' hf:OWNER/NAME@REVISION/FILE#SHA256'
    )
  file = hub['file'] or f'model{_SAFETENSORS}'
  repository = f'{hub["owner"]}/{hub["name"]}'
  return Source(
    file=f'{repository}/{file}'.replace('/', '--'),
    url=f'{_HUB}/{repository}/resolve/{hub["revision"] or "main"}/{file}',
    sha256=sha256,
  )


def load(
  source: Source, *, folder: str | None, download: bool, wanted_by: str
) -> Weights:
  """Reads weights, after fetching them where that is allowed.

  Args:
    source: which.
    folder: where files without a folder of their own lie; None: nowhere.
    download: whether a file that is not there may be fetched.
    wanted_by: the encoder, for messages.

  Raises:
    WeightsError: they are not there, can't be fetched, or are others.
  """
  path = pathlib.Path(folder or '.', source.file)
  if not os.path.lexists(path):
    if not download or source.url is None or not (folder or path.is_absolute()):
      raise WeightsError(_how_to_get(source, folder, wanted_by))
    fetch(source, path)
  sha256 = _sha256(path)
  if not sha256.startswith(source.sha256):
    raise WeightsError(
      errors.in_file(
        path,
        f'has the SHA-256 {sha256[:12]}... and not {source.sha256[:12]}...; it'
        f' is broken or another file. To take it all the same, say'
        f' {wanted_by}:FILE',
      )
    )
  return Weights(path, read(path), sha256)


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a file of weights: safetensors, or what `torch.save` wrote.

  Args:
    path: ends in `.safetensors`, or is read as PyTorch's.

  Returns:
    Name -> array.

  Raises:
    WeightsError: it is broken.
    TorchFileError: it is broken, or holds more than tensors.
  """
  if path.suffix != _SAFETENSORS:
    return torch_file.read(path)
  with user_files.open_file(path, error=WeightsError):
    pass  # the library below would wait for a pipe
  try:
    return dict(safetensors.numpy.load_file(path))
  except (safetensors.SafetensorError, OSError, TypeError, ValueError) as e:
    problem = f'is no readable safetensors file ({errors.quoted(e)})'
    raise WeightsError(errors.in_file(path, problem)) from None


def convert(source: pathlib.Path, target: pathlib.Path) -> int:
  """Writes the weights of any file as safetensors, number by number the same.

  Args:
    source: what `read` reads.
    target: ends in `.safetensors`; appears whole or not at all.

  Returns:
    How many arrays there are.

  Raises:
    WeightsError: the source can't be read, or the target can't be written.
    TorchFileError: the source is no file of tensors alone.
  """
  if target.suffix != _SAFETENSORS:
    raise WeightsError(
      errors.in_file(target, f'should have a name that ends in {_SAFETENSORS}')
    )
  arrays = {
    # Not `ascontiguousarray`, which gives a single number a dimension.
    name: np.array(array, order='C')
    for name, array in read(source).items()
  }
  content = safetensors.numpy.save(arrays)

  def write(file: BinaryIO) -> None:
    file.write(content)

  try:
    files.write_whole(target, write)
  except OSError as e:
    raise WeightsError(errors.in_file(target, e.strerror or str(e))) from None
  return len(arrays)


def fetch(source: Source, path: pathlib.Path) -> None:
  """Downloads a file; it appears whole, and with the right SHA-256, or not.

  Args:
    source: with a `url`; without `sha256` it is refused.
    path: where it goes.

  Raises:
    WeightsError: its SHA-256 is unknown or another, or it can't be written.
    TransientError: it can't be reached, or breaks off.
  """
  url = str(source.url)
  if not source.sha256:
    raise WeightsError(
      f'{url}: its SHA-256 is not known here; fetch it by hand, or name it with'
      ' #SHA256 behind'
    )
  whole = hashlib.sha256()

  def write(file: BinaryIO) -> None:
    received = 0
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
      while chunk := answer.read(_CHUNK):
        received += len(chunk)
        if received > _MOST_BYTES:
          raise WeightsError(f'{url}: is larger than weights can be')
        whole.update(chunk)
        file.write(chunk)
      length = answer.headers.get('Content-Length')
    if length is not None and int(length) != received:
      raise errors.TransientError(f'{url}: broke off after {received:,} bytes')
    if not whole.hexdigest().startswith(source.sha256):
      raise WeightsError(
        f'{url}: has the SHA-256 {whole.hexdigest()[:12]}... and not'
        f' {source.sha256[:12]}...; it is not kept'
      )

  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, write)
  except (urllib.error.URLError, TimeoutError, ConnectionError) as e:
    reason = getattr(e, 'reason', None) or e
    raise errors.TransientError(
      f'{url}: could not be fetched ({errors.quoted(reason)})'
    ) from None
  except OSError as e:
    raise WeightsError(errors.in_file(path, e.strerror or str(e))) from None


def _sha256(path: pathlib.Path) -> str:
  with user_files.open_file(path, error=WeightsError) as f:
    try:
      return hashlib.file_digest(f, 'sha256').hexdigest()
    except OSError as e:
      raise WeightsError(errors.in_file(path, e.strerror or str(e))) from None


def _how_to_get(source: Source, folder: str | None, wanted_by: str) -> str:
  """Says which file is missing, where from it comes and where it goes."""
  place = 'the folder that --weights names'
  without = '; --image_encoder=none goes on without pictures'
  if folder is not None:  # who names one wants pictures, and lines are short
    place, without = errors.quoted(folder), ''
  about = ', '.join(
    part
    for part in (
      f'{source.megabytes} MB' if source.megabytes else '',
      source.licence,
    )
    if part
  )
  about = f' ({about})' if about else ''
  if source.url is None:
    return f'{wanted_by}: there is no file {errors.quoted(source.file)}'
  how = ' or say --download' if source.sha256 else ''
  return (
    f'{wanted_by} needs {source.file}{about} in {place}: get {source.url} under'
    f' that name{how}{without}'
  )
