"""Descriptions of the arrays in a checkpoint: name, shape, type, checksum."""

from __future__ import annotations

from collections.abc import Mapping
import types
from typing import Any

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import multihost

# Up to so many elements, an array comes to the host faster than a program for
# its shape is compiled.
_SMALL = 1 << 20


def _words(x: Any, xp: types.ModuleType) -> Any:
  """Reinterprets an array's bits as a flat uint32 vector."""
  flat = x.reshape(-1)
  if x.dtype == bool:
    return flat.astype(xp.uint32)
  bits = x.dtype.itemsize * 8
  unsigned = xp.dtype(f'uint{min(bits, 32)}')
  if xp is np:
    return flat.view(unsigned).astype(np.uint32)
  words = jax.lax.bitcast_convert_type(flat, unsigned)
  return words.reshape(-1).astype(jnp.uint32)


def _sums(x: Any, xp: types.ModuleType) -> Any:
  """Returns uint32 [2]: sums of the words, each times an odd number.

  Integer sums don't depend on the order, so any number of devices gives the
  same value, and NumPy and JAX do; an odd factor keeps every single flipped bit
  visible.
  """
  word = _words(x, xp)
  place = xp.arange(word.size, dtype=xp.uint32)

  def odd(multiplier: int, shift: int) -> Any:
    h = (place + xp.uint32(1)) * xp.uint32(multiplier)
    return (h ^ (h >> xp.uint32(shift))) | xp.uint32(1)

  return xp.stack(
    [
      xp.sum(word * odd(0x9E3779B1, 15), dtype=xp.uint32),
      xp.sum(word * odd(0x85EBCA77, 13), dtype=xp.uint32),
    ]
  )


@jax.jit
def _sums_on_device(x: jax.Array) -> jax.Array:
  # Compiled once a shape: parameters and the optimizer's moments share theirs.
  return _sums(x, jnp)


def _checksum(x: Any) -> Any:
  if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
    x = jax.random.key_data(x)
  here = not isinstance(x, jax.Array) or (
    x.is_fully_addressable or x.is_fully_replicated
  )
  if here and x.size <= _SMALL:
    return _sums(np.asarray(x), np)
  return _sums_on_device(x)


def _by_path(tree: Any) -> dict[str, Any]:
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def describe(tree: Any) -> dict[str, list]:
  """Describes every array of a pytree: path -> [shape, dtype, checksum]."""
  sums = _by_path(multihost.fetch(jax.tree.map(_checksum, tree)))
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
