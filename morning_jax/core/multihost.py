"""Several processes that run one program: what they agree on, and who speaks.

On a TPU slice each host runs the same process; all see the devices of all, and
every computation and every save is joint. What only one may do (print, write a
small file) the first does; what all must decide alike is taken from the first
or put to a vote. With a single process everything here costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import json
from typing import Any, TypeVar
import zlib

import jax
from jax import numpy as jnp
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from morning_jax.core import errors

T = TypeVar('T')


def is_first() -> bool:
  """Tells whether this process prints and writes small files."""
  return jax.process_index() == 0


def wait_for_all(name: str) -> None:
  """Waits until every process has reached the point of this name."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def _gather(x: np.ndarray) -> np.ndarray:
  """Returns [processes, ...]: the arrays of all, of one shape, 32 bits."""
  if jax.process_count() == 1:
    return x[None]
  return np.asarray(multihost_utils.process_allgather(x))


def arrays_of_first(tree: T) -> T:
  """Returns the first process's values of a pytree, bit for bit.

  Args:
    tree: NumPy arrays, equal in shape and type on all processes.
  """
  if jax.process_count() == 1:
    return tree

  def of_first(x: np.ndarray) -> np.ndarray:
    # As bytes: a sum over processes would turn -0 into 0.
    flat = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
    got = np.asarray(multihost_utils.broadcast_one_to_all(flat), np.uint8)
    return got.view(x.dtype).reshape(x.shape)

  return jax.tree.map(of_first, tree)


def text_of_first(text: str) -> str:
  """Returns the first process's text."""
  if jax.process_count() == 1:
    return text
  own = np.frombuffer(text.encode(), np.uint8)
  length = int(arrays_of_first(np.array([len(own)], np.int32))[0])
  return arrays_of_first(np.resize(own, length)).tobytes().decode()


def any_of(flag: bool) -> bool:
  """Tells whether the flag is set on any process."""
  return bool(_gather(np.array(flag)).any())


def texts(text: str) -> list[str]:
  """Returns the texts of all processes, in their order."""
  if jax.process_count() == 1:
    return [text]
  own = np.frombuffer(text.encode(errors='surrogateescape'), np.uint8)
  lengths = _gather(np.array(len(own), np.int32))
  padded = np.zeros(max(1, int(lengths.max())), np.uint8)
  padded[: len(own)] = own
  return [
    row[:length].tobytes().decode(errors='surrogateescape')
    for row, length in zip(_gather(padded), lengths, strict=True)
  ]


@contextlib.contextmanager
def raise_together() -> Iterator[None]:
  """Raises on all processes what any of them meets in the block.

  A process that raises alone leaves the others waiting for it for ever. All
  enter such a block and leave it together, so it replaces a `wait_for_all`
  after it. In the block nothing may be joint: one process would wait there for
  another that has met its error already.

  Raises:
    Exception: what this process met, or else what the first that met something
      did: a UserError, TransientError or OSError as it is there, anything else
      as a RuntimeError.
  """
  failure: Exception | None = None
  try:
    yield
  except Exception as e:
    failure = e
  if jax.process_count() > 1:
    told = texts(json.dumps(None if failure is None else _portable(failure)))
    for index, text in enumerate(told):
      if failure is None and text != 'null':
        failure = _unpacked(index, **json.loads(text))
  if failure is not None:
    raise failure


def _portable(error: Exception) -> dict[str, Any]:
  told: dict[str, Any] = {'text': str(error)}
  if isinstance(error, errors.UserError):
    told['kind'] = 'user'
  elif isinstance(error, errors.TransientError):
    told['kind'] = 'transient'
  elif isinstance(error, OSError) and error.errno:
    path = None if error.filename is None else str(error.filename)
    told |= {'kind': 'system', 'number': error.errno, 'path': path}
    told['text'] = error.strerror or ''
  else:
    told |= {'kind': 'other', 'text': f'{type(error).__name__}: {error}'}
  return told


def _unpacked(
  index: int,
  *,
  kind: str,
  text: str,
  number: int = 0,
  path: str | None = None,
) -> Exception:
  if kind == 'user':
    return errors.UserError(text)
  if kind == 'transient':
    return errors.TransientError(text)
  if kind == 'system':
    return OSError(number, text, path)
  return RuntimeError(f'process {index}: {text}')


def check_same(values: Mapping[str, str]) -> None:
  """Checks that all processes were started alike.

  Args:
    values: what must be equal on all processes, by a name for the message.

  Raises:
    UserError: names what differs, on every process.
  """
  digests = np.array(
    [zlib.crc32(v.encode()) for v in values.values()], np.uint32
  )
  same = (_gather(digests) == digests).all(axis=0)
  for name, equal in zip(values, arrays_of_first(same), strict=True):
    if not equal:
      raise errors.UserError(
        f'{name} is not the same on all {jax.process_count()} processes; start'
        ' all of them with the same command on the same data'
      )


def fetch(tree: T) -> T:
  """Brings a pytree of arrays to the host, whole, on every process."""

  def one(x: Any) -> np.ndarray:
    if isinstance(x, jax.Array) and not (
      x.is_fully_addressable or x.is_fully_replicated
    ):
      return np.asarray(multihost_utils.process_allgather(x, tiled=True))
    return jax.device_get(x)

  return jax.tree.map(one, tree)


class Vote:
  """Asks all processes whether any wants something, without waiting for them.

  The answer to one question is read when the next is asked, so that the devices
  never wait for it. All processes ask at the same points and get the same
  answers.
  """

  def __init__(self, mesh: Mesh):
    """Prepares to ask over the devices of a mesh."""
    self._sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    self._count = jax.jit(
      jnp.max, out_shardings=NamedSharding(mesh, PartitionSpec())
    )
    self._pending: jax.Array | None = None

  def ask(self, flag: bool) -> bool:
    """Casts this process's vote; tells whether any had voted for it before."""
    if jax.process_count() == 1:
      return flag
    answer = False
    if self._pending is not None:
      answer = bool(jax.device_get(self._pending))
    own = np.full(jax.local_device_count(), flag, np.int32)
    votes = jax.make_array_from_process_local_data(self._sharding, own)
    self._pending = self._count(votes)
    return answer
