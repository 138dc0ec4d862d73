"""Encodes the accounts of a bundle, each once, block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import os
import pathlib

import jax
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import feature_rows
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.data import preprocessing
from morning_jax.evaluation import trained_model
from morning_jax.model import factory
from morning_jax.recommend import encoded as encoded_lib
from morning_jax.recommend import index as index_lib
from morning_jax.recommend import profiles as profiles_lib
from morning_jax.recommend import stored_vectors
from morning_jax.reporting import console

_BLOCK = 4096  # accounts transformed at a time
_SHOWN = 100_000  # accounts whose encoding shows its progress


@dataclasses.dataclass(frozen=True)
class Keep:
  """Where the vectors of accounts go whose features are not in memory.

  A catalogue that was encoded is found there again, and one that was stopped
  goes on.

  Attributes:
    folder: made where it is not there.
    fingerprint: of the bundle.
  """

  folder: pathlib.Path
  fingerprint: str


def keep_in(workdir: str | os.PathLike[str], fingerprint: str) -> Keep:
  """Returns where the vectors of a bundle go within a working folder."""
  own = f'catalogue-{fingerprint[:16]}'
  if not multihost.is_first():  # may share a folder with the first
    own += f'-{jax.process_index()}'
  return Keep(pathlib.Path(workdir) / own, fingerprint)


def encode_role(
  trained: trained_model.Trained,
  encoder: profiles_lib.ProfileEncoder,
  dataset: accounts_lib.Dataset,
  role: int,
  *,
  keep: Keep | None = None,
) -> tuple[encoded_lib.Encoded, dict[str, slice]]:
  """Encodes the accounts of one role.

  Args:
    trained: the model.
    encoder: encodes by it.
    dataset: the accounts.
    role: `BRAND` or `INFLUENCER`.
    keep: where vectors go if the data set's features are stored.

  Returns:
    The accounts, and perspective -> coordinates of their vectors.

  Raises:
    UserError: there is no account of the role.
    DivergedError: a representation is not finite.
  """
  rows = dataset.accounts.rows_of(role)
  if not len(rows):
    raise errors.UserError(
      f'{dataset.name}: there is no {accounts_lib.ROLES[role]} to choose from'
    )
  rows_of = preprocessing.account_rows(trained.spec, trained.fitted, dataset)
  if isinstance(dataset.features, feature_rows.Stored):
    assert keep is not None
    return _encode_stored(trained, encoder, dataset, rows, role, rows_of, keep)
  slices: dict[str, slice] = {}
  vectors: np.ndarray | None = None
  present = {k: np.zeros(len(rows), bool) for k in trained.spec.perspectives}
  for start in range(0, len(rows), _BLOCK):
    block = rows[start : start + _BLOCK]
    table = rows_of(block)
    encoded = encoder.encode_table(table, len(block), role=role)
    if vectors is None:
      slices = _slices_of(encoded)
      width = sum(x.shape[1] for x in encoded.values())
      vectors = np.empty((len(rows), width), np.float32)
    vectors[start : start + len(block)] = profiles_lib.joined(encoded, slices)
    for k, has in profiles_lib.present_in(trained.spec, table).items():
      present[k][start : start + len(block)] = has
  assert vectors is not None
  _check_finite(vectors)
  return encoded_lib.Encoded(
    role=role,
    account_row_N=rows,
    ids_N=dataset.accounts.ids[rows],
    vector_NxD=vectors,
    present=present,
  ), slices


def _encode_stored(
  trained: trained_model.Trained,
  encoder: profiles_lib.ProfileEncoder,
  dataset: accounts_lib.Dataset,
  rows: np.ndarray,
  role: int,
  rows_of: Callable[[np.ndarray], accounts_lib.AccountTable],
  keep: Keep,
) -> tuple[encoded_lib.Encoded, dict[str, slice]]:
  """Encodes accounts of stored features into a file, from where it stopped."""
  slices = _slices_of(encoder.encode_table(rows_of(rows[:1]), 1, role=role))
  name = accounts_lib.ROLES[role]

  def encode(start: int, stop: int) -> np.ndarray:
    table = rows_of(rows[start:stop])
    encoded = encoder.encode_table(table, stop - start, role=role)
    vectors = profiles_lib.joined(encoded, slices)
    _check_finite(vectors)
    return vectors

  path = keep.folder / f'{name}s.npy'
  try:
    keep.folder.mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise errors.UserError(
      errors.in_file(keep.folder, f'cannot be written: {e.strerror or e}')
    ) from None
  with console.Progress(
    total=len(rows),
    unit='accounts',
    title=f'encoding {name}s',
    quiet=len(rows) < _SHOWN,
  ) as progress:
    index_lib.build_index(
      encode,
      path,
      num_rows=len(rows),
      width=max(where.stop for where in slices.values()),
      fingerprint=files.digest(keep.fingerprint, name, _parameters(trained)),
      batch_rows=_BLOCK,
      advance=progress.advance,
    )
  return encoded_lib.Encoded(
    role=role,
    account_row_N=accounts_lib.AccountRows(rows),
    ids_N=dataset.accounts.ids[rows],
    vector_NxD=stored_vectors.StoredVectors(path),
    present={
      k: has[rows]
      for k, has in preprocessing.presence(trained.spec, dataset).items()
    },
  ), slices


def _parameters(trained: trained_model.Trained) -> str:
  """Identifies a model: what it was fitted to, and its parameters."""
  arrays = multihost.fetch((trained.params, trained.fitted))
  return files.digest(
    repr(trained.spec), *map(np.asarray, jax.tree.leaves(arrays))
  )


def _check_finite(vectors: np.ndarray) -> None:
  if not np.isfinite(vectors).all():
    raise errors.DivergedError(
      'representations are not finite: the model has diverged; a lower'
      ' config.optimizer.learning_rate may help'
    )


def _slices_of(encoded: Mapping[str, np.ndarray]) -> dict[str, slice]:
  order = [k for k in accounts_lib.PERSPECTIVES if k in encoded]
  return _side_by_side({k: encoded[k].shape[1] for k in order})


def _side_by_side(widths: Mapping[str, int]) -> dict[str, slice]:
  ends = np.cumsum(list(widths.values())).tolist()
  return {
    k: slice(end - width, end)
    for (k, width), end in zip(widths.items(), ends, strict=True)
  }


def pieces_of(
  trained: trained_model.Trained, slices: Mapping[str, slice]
) -> list[encoded_lib.Coordinates]:
  """Lists what a score is split into, in the order of the vectors.

  Args:
    trained: the model.
    slices: perspective -> coordinates of the vectors.
  """
  spec = trained.spec
  within = factory.modality_slices(trained.config.model, spec)
  pieces = []
  for perspective, where in slices.items():
    for modality, part in within.get(perspective, {}).items():
      pieces.append(
        encoded_lib.Coordinates(
          perspective,
          modality,
          slice(where.start + part.start, where.start + part.stop),
        )
      )
    if perspective not in within:
      name = ' x '.join(spec.perspectives[perspective]) or 'list'
      pieces.append(encoded_lib.Coordinates(perspective, name, where))
  return pieces
