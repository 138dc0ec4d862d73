"""Descriptions of the arrays in a checkpoint: name, shape, type, checksum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import multihost

_ODD = ((0x9E3779B1, 15), (0x85EBCA77, 13))  # multiplier and shift of a hash
_FEW = 1 << 22  # numbers of an array that is summed up on the host


def _words(x: jax.Array) -> jax.Array:
  """Reinterprets an array's bits as a flat uint32 vector."""
  if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
    x = jax.random.key_data(x)
  if x.dtype == bool:
    return x.ravel().astype(jnp.uint32)
  bits = x.dtype.itemsize * 8
  if bits == 64:
    return jax.lax.bitcast_convert_type(x, jnp.uint32).ravel()
  unsigned = jnp.dtype(f'uint{bits}')
  return jax.lax.bitcast_convert_type(x, unsigned).ravel().astype(jnp.uint32)


@jax.jit
def _checksum(x: jax.Array) -> jax.Array:
  """Returns uint32 [2]: sums of the words, each times an odd number.

  Integer sums don't depend on the order, so any number of devices gives the
  same value; an odd factor keeps every single flipped bit visible. It is
  compiled once a shape: parameters and the optimizer's moments share theirs.
  """
  word = _words(x)
  place = jnp.arange(word.size, dtype=jnp.uint32)

  def odd(multiplier: int, shift: int) -> jax.Array:
    h = (place + jnp.uint32(1)) * jnp.uint32(multiplier)
    return (h ^ (h >> shift)) | jnp.uint32(1)

  return jnp.stack(
    [
      jnp.sum(word * odd(multiplier, shift), dtype=jnp.uint32)
      for multiplier, shift in _ODD
    ]
  )


def _words_on_host(x: np.ndarray) -> np.ndarray:
  """Does what `_words` does, without compiling anything."""
  x = np.ascontiguousarray(x).reshape(-1)
  if x.dtype == bool:
    return x.astype(np.uint32)
  if x.dtype.itemsize == 8:
    return x.view(np.uint32)
  return x.view(f'uint{8 * x.dtype.itemsize}').astype(np.uint32)


def _checksum_on_host(x: np.ndarray) -> np.ndarray:
  """Returns what `_checksum` does of an array that is on the host."""
  word = _words_on_host(x)
  place = np.arange(1, word.size + 1, dtype=np.uint32)
  sums = []
  for multiplier, shift in _ODD:
    h = place * np.uint32(multiplier)
    factor = (h ^ (h >> np.uint32(shift))) | np.uint32(1)
    sums.append((word * factor).sum(dtype=np.uint32))
  return np.array(sums)


def _sums_of(x: jax.Array | np.ndarray) -> Any:
  """Returns an array's checksum, where it takes the least time.

  A small array on a CPU is summed up before a program for its shape would be
  compiled.
  """
  if isinstance(x, np.ndarray):
    return _checksum_on_host(x)
  devices: set[Any] = x.sharding.device_set
  on_cpu = all(d.platform == 'cpu' for d in devices)
  if x.size > _FEW or not (on_cpu and x.is_fully_addressable):
    return _checksum(x)
  if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
    x = jax.random.key_data(x)
  return _checksum_on_host(np.asarray(x))


def _by_path(tree: Any) -> dict[str, Any]:
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def describe(tree: Any) -> dict[str, list]:
  """Describes every array of a pytree: path -> [shape, dtype, checksum]."""
  sums = _by_path(multihost.fetch(jax.tree.map(_sums_of, tree)))
  return {
    path: [
      *_shape_and_type(leaf),
      ''.join(f'{int(word):08x}' for word in sums[path]),
    ]
    for path, leaf in _by_path(tree).items()
  }


def _shape_and_type(leaf: Any) -> list:
  return [list(leaf.shape), str(leaf.dtype)]


def shapes(meta: Mapping[str, Any], item: str, sharding: Any) -> Any:
  """Returns an item's ShapeDtypeStructs as a checkpoint has them, nested.

  For what has no other description than what was saved.
  """
  tree: dict[str, Any] = {}
  for path, (shape, dtype, _) in meta['arrays'].get(item, {}).items():
    *parents, name = path.split('/')
    node = tree
    for parent in parents:
      node = node.setdefault(parent, {})
    node[name] = jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
  return tree


def mismatches(stored: Mapping[str, list], wanted: Any) -> list[str]:
  """Lists every difference in name, shape or type from the wanted tree."""
  have = {path: f'{a[1]}{a[0]}' for path, a in stored.items()}
  want = {
    path: '{1}{0}'.format(*_shape_and_type(leaf))
    for path, leaf in _by_path(wanted).items()
  }
  lines = []
  for path in sorted(have | want):
    if path not in want:
      lines.append(f'{path} {have[path]} is not in the model')
    elif path not in have:
      lines.append(f'{path} {want[path]} is not in the checkpoint')
    elif have[path] != want[path]:
      lines.append(
        f'{path} is {have[path]} in the checkpoint, {want[path]} in the model'
      )
  return lines
