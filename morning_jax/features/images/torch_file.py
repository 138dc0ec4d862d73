"""Files of `torch.save` as arrays, without PyTorch and without running them.

Both layouts are read: the zip archive of PyTorch 1.6 and later, and the one
before, in which pickles and numbers follow each other, as the Places365 files
have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import os
import pathlib
import stat
from typing import Any, BinaryIO
import zipfile

import numpy as np

from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.features.images import pickled_tensors

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST_RECORDS = 100_000
_ENCRYPTED = 0x1
# Where a checkpoint has its weights, if not in the outermost dictionary.
_INSIDE = ('state_dict', 'model', 'model_state_dict')
_IN_PARALLEL = 'module.'  # what DataParallel puts in front of every name


class TorchFileError(errors.UserError):
  """A file of PyTorch that can't be read, or must not be."""


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """Reads the weights of a checkpoint.

  Args:
    path: a file that `torch.save` wrote: a dictionary of tensors, or one that
      has it as `state_dict`, beside plain values that do not matter.

  Returns:
    Name -> array, read-only, of the type that the file has. A `module.` in
    front of all names is dropped.

  Raises:
    TorchFileError: it is broken, or holds anything but tensors and plain
      values; nothing of it is run.
  """
  path = pathlib.Path(path)
  try:
    with user_files.open_file(path, error=TorchFileError) as f:
      is_zip = f.peek(4)[:4] == b'PK\x03\x04'
      return _read_zip(f) if is_zip else _read_old(f)
  except pickled_tensors.Refused as e:
    problem = f'is refused: {e}'
  except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
    problem = 'is broken: it is no complete archive of PyTorch'
  except (OSError, ValueError, TypeError, OverflowError) as e:
    problem = f'is broken ({errors.quoted(e, limit=60)})'
  raise TorchFileError(errors.in_file(path, problem))


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
  size = os.fstat(file.fileno()).st_size
  with zipfile.ZipFile(file) as archive:
    records = archive.infolist()
    if len(records) > _MOST_RECORDS:
      raise pickled_tensors.Refused('it has too many records')
    by_name = {record.filename: record for record in records}
    if len(by_name) < len(records):
      raise pickled_tensors.Refused('it has two records of one name')
    for record in records:
      _check(record, size)
    if sum(record.file_size for record in records) > size:
      raise pickled_tensors.Refused('its records are larger than the file')
    (main, *others) = [
      name for name in by_name if name.rpartition('/')[2] == 'data.pkl'
    ] or ['']
    if not main or others or main.count('/') != 1:
      raise pickled_tensors.Refused('it is an archive, and not of PyTorch')
    folder = main.removesuffix('data.pkl')
    order = by_name.get(f'{folder}byteorder')
    if order and archive.read(order) != b'little':
      raise pickled_tensors.Refused('its numbers are big-endian')
    with archive.open(main) as f:
      value = pickled_tensors.read(f)

    def numbers(storage: pickled_tensors.Storage) -> np.ndarray:
      record = by_name.get(f'{folder}data/{storage.key}')
      if record is None:
        raise pickled_tensors.Refused('it lacks the numbers of a tensor')
      if record.file_size != storage.size * storage.dtype.itemsize:
        raise pickled_tensors.Refused('a record has not the size of its tensor')
      return np.frombuffer(archive.read(record), storage.dtype)

    return _arrays(_weights(value), numbers)


def _check(record: zipfile.ZipInfo, size: int) -> None:
  """Refuses records that no file of PyTorch has."""
  parts = record.filename.split('/')
  if '..' in parts or '' in parts[:-1] or '\\' in record.filename:
    raise pickled_tensors.Refused('it has a record with a path out of it')
  if stat.S_ISLNK(record.external_attr >> 16):
    raise pickled_tensors.Refused('it has a record that is a link')
  if record.flag_bits & _ENCRYPTED:
    raise pickled_tensors.Refused('it has an encrypted record')
  if record.compress_type != zipfile.ZIP_STORED:
    raise pickled_tensors.Refused('it has a compressed record')
  if record.file_size > size:
    raise pickled_tensors.Refused('its records are larger than the file')


def _read_old(file: BinaryIO) -> dict[str, np.ndarray]:
  size = os.fstat(file.fileno()).st_size
  if not size:
    raise pickled_tensors.Refused('it is empty')
  if pickled_tensors.read(file) != _MAGIC:
    raise pickled_tensors.Refused('it is no file of PyTorch')
  if pickled_tensors.read(file) != _PROTOCOL:
    raise pickled_tensors.Refused('it has an unknown version')
  system = pickled_tensors.read(file)
  if not isinstance(system, dict) or system.get('little_endian') is not True:
    raise pickled_tensors.Refused('its numbers are big-endian')
  referred: list[pickled_tensors.Storage] = []
  tensors = _weights(pickled_tensors.read(file, referred))
  storages = _consistent(referred)
  keys = pickled_tensors.read(file)
  if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
    raise pickled_tensors.Refused('it has no list of storages')
  if len(set(keys)) < len(keys) or set(keys) != storages.keys():
    raise pickled_tensors.Refused('it has other storages than it lists')
  found = {}
  for key in keys:
    storage = storages[key]
    count = int.from_bytes(_exactly(file, 8), 'little', signed=True)
    if count != storage.size:
      raise pickled_tensors.Refused('a record has not the size of its tensor')
    content = _exactly(file, count * storage.dtype.itemsize, size)
    found[key] = np.frombuffer(content, storage.dtype)
  return _arrays(tensors, lambda storage: found[storage.key])


def _exactly(file: BinaryIO, count: int, size: int = 8) -> bytes:
  """Reads so many bytes, of a file that has `size` at most."""
  content = file.read(count) if 0 <= count <= size else b''
  if len(content) != count:
    raise EOFError
  return content


def _weights(value: Any) -> dict[str, pickled_tensors.Tensor]:
  """Finds the dictionary of tensors."""
  if not isinstance(value, dict):
    raise pickled_tensors.Refused('it holds no dictionary of tensors')
  for name in _INSIDE:
    if isinstance(value.get(name), dict):
      value = value[name]
      break
  if not value:
    raise pickled_tensors.Refused('it holds no tensors')
  for name, tensor in value.items():
    if not isinstance(name, str) or not isinstance(
      tensor, pickled_tensors.Tensor
    ):
      raise pickled_tensors.Refused(
        f'{errors.quoted(name, limit=60)} in it is no tensor'
      )
  return value


def _arrays(
  tensors: Mapping[str, pickled_tensors.Tensor],
  numbers: Callable[[pickled_tensors.Storage], np.ndarray],
) -> dict[str, np.ndarray]:
  storages = _consistent(t.storage for t in tensors.values())
  content = {key: numbers(storage) for key, storage in storages.items()}
  parallel = all(name.startswith(_IN_PARALLEL) for name in tensors)
  arrays = {}
  for name, t in tensors.items():
    # A view: many tensors of one storage take no more memory than one.
    array = np.lib.stride_tricks.as_strided(
      content[t.storage.key][t.offset :],
      t.shape,
      tuple(stride * t.storage.dtype.itemsize for stride in t.strides),
      writeable=False,
    )
    arrays[name.removeprefix(_IN_PARALLEL) if parallel else name] = array
  return arrays


def _consistent(
  storages: Iterable[pickled_tensors.Storage],
) -> dict[str, pickled_tensors.Storage]:
  by_key: dict[str, pickled_tensors.Storage] = {}
  for storage in storages:
    if by_key.setdefault(storage.key, storage) != storage:
      raise pickled_tensors.Refused('it tells two things of one storage')
  return by_key
