"""Converts the weights of the authors' TensorFlow-1 program.

The names are roles, not variable names: `<part>/<layer>/{kernel,bias}` as in
`ROLES`. Reading them out of a TensorFlow checkpoint needs no TensorFlow here:
whoever has one exports its variables, in the order of their creation, as the
arrays of an `.npz` file.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
from typing import Any

import flax.traverse_util
import numpy as np

from morning_jax.core import errors
from morning_jax.core import user_files

# The roles of the original's 36 variables, in the order of their creation.
ROLES: tuple[str, ...] = (
  *(
    f'{tower}/dense{layer}/{kind}'
    for tower, layers in (
      ('attribute', 2),
      ('content/text', 2),
      ('content/image', 4),
      ('audience/text', 2),
      ('audience/image', 4),
    )
    for layer in range(layers)
    for kind in ('kernel', 'bias')
  ),
  *(
    f'coattention/{role}_{perspective}/{kind}'
    for kind in ('kernel', 'bias')
    for role in ('brand', 'influencer')
    for perspective in ('content', 'audience')
  ),
)


def params_from_roles(
  arrays: Mapping[str, np.ndarray], like: Mapping[str, Any]
) -> dict[str, Any]:
  """Turns arrays under role names into the parameters of the model.

  Args:
    arrays: role name -> array, kernels [in, out].
    like: the parameters of a `release` model of the same sizes (arrays or
      ShapeDtypeStructs). Its `missing` vectors have no counterpart in the
      original and become zeros.

  Returns:
    Parameters of the structure of `like`.

  Raises:
    UserError: lists every role that is missing, unknown or of another shape.
  """
  wanted = flax.traverse_util.flatten_dict(dict(like), sep='/')
  roles = {k: v for k, v in wanted.items() if not k.endswith('/missing')}
  wrong = [f'{k} is missing' for k in roles if k not in arrays]
  wrong += [f'{k} is not in the model' for k in arrays if k not in roles]
  wrong += [
    f'{k} has shape {tuple(arrays[k].shape)}, the model {tuple(v.shape)}'
    for k, v in roles.items()
    if k in arrays and tuple(arrays[k].shape) != tuple(v.shape)
  ]
  wrong += [
    f'{k} holds a number that is not finite'
    for k in roles
    if k in arrays and not np.isfinite(arrays[k]).all()
  ]
  if wrong:
    raise errors.UserError(
      f'the weights do not fit the model: {"; ".join(wrong)}'
    )
  return flax.traverse_util.unflatten_dict(
    {
      k: np.asarray(arrays[k], np.float32)
      if k in roles
      else np.zeros(v.shape, np.float32)
      for k, v in wanted.items()
    },
    sep='/',
  )


def read_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """Reads an `.npz` file of arrays under role names.

  Args:
    path: the file. Arrays named `0` to `35` are taken for the original's
      variables in the order of their creation (`ROLES`).

  Returns:
    Role name -> array.

  Raises:
    UserError: the file can't be read, or holds pickles.
  """
  with user_files.open_file(path, error=errors.UserError) as f:
    try:
      with np.load(f, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    except Exception as e:
      # Broken archives and broken headers raise many types.
      problem = f'not an .npz file of plain arrays ({errors.quoted(e)})'
      raise errors.UserError(errors.in_file(path, problem)) from None
  for name, array in arrays.items():
    if array.dtype.kind not in 'fiu':
      problem = f'{errors.quoted(name)} holds {array.dtype}, not numbers'
      raise errors.UserError(errors.in_file(path, problem))
  numbers = {str(i) for i in range(len(ROLES))}
  if set(arrays) == numbers:
    return {role: arrays[str(i)] for i, role in enumerate(ROLES)}
  return arrays
