"""Encodes the accounts of a bundle, each once, block by block."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import preprocessing
from morning_jax.evaluation import trained_model
from morning_jax.model import factory
from morning_jax.recommend import encoded as encoded_lib
from morning_jax.recommend import profiles as profiles_lib

_BLOCK = 4096  # accounts transformed at a time


def encode_role(
  trained: trained_model.Trained,
  encoder: profiles_lib.ProfileEncoder,
  dataset: accounts_lib.Dataset,
  role: int,
) -> tuple[encoded_lib.Encoded, dict[str, slice]]:
  """Encodes the accounts of one role.

  Args:
    trained: the model.
    encoder: encodes by it.
    dataset: the accounts.
    role: `BRAND` or `INFLUENCER`.

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
  slices: dict[str, slice] = {}
  vectors: np.ndarray | None = None
  present = {k: np.zeros(len(rows), bool) for k in trained.spec.perspectives}
  for start in range(0, len(rows), _BLOCK):
    block = rows[start : start + _BLOCK]
    table = rows_of(block)
    encoded = encoder.encode_table(table, len(block), role=role)
    if vectors is None:
      order = [k for k in accounts_lib.PERSPECTIVES if k in encoded]
      slices = _side_by_side({k: encoded[k].shape[1] for k in order})
      width = sum(x.shape[1] for x in encoded.values())
      vectors = np.empty((len(rows), width), np.float32)
    vectors[start : start + len(block)] = profiles_lib.joined(encoded, slices)
    for k, has in profiles_lib.present_in(trained.spec, table).items():
      present[k][start : start + len(block)] = has
  assert vectors is not None
  if not np.isfinite(vectors).all():
    raise errors.DivergedError(
      'representations are not finite: the model has diverged; a lower'
      ' config.optimizer.learning_rate may help'
    )
  return encoded_lib.Encoded(
    role=role,
    account_row_N=rows,
    ids_N=dataset.accounts.ids[rows],
    vector_NxD=vectors,
    present=present,
  ), slices


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
