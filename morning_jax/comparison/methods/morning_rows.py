"""The rows of MORNING: its recipes, and its ablations by perspective."""

from __future__ import annotations

from collections.abc import Mapping

import ml_collections

from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import morning
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib

# The row that the others are compared with.
REFERENCE = 'morning'
_PAPER = (
  'S. Wang, T. Gan, Y. Liu, J. Wu, Y. Cheng, L. Nie, "Micro-Influencer'
  ' Recommendation by Multi-Perspective Account Representation Learning", IEEE'
  ' Transactions on Multimedia 25, 2023'
)
# Key -> the perspectives that the model has.
ABLATIONS: Mapping[str, tuple[str, ...]] = {
  'content-only': ('content',),
  'audience-only': ('audience',),
  'attribute-only': ('attribute',),
  'content-audience': ('content', 'audience'),
  'content-attribute': ('content', 'attribute'),
  'audience-attribute': ('audience', 'attribute'),
}


def _row(
  key: str,
  name: str,
  config: ml_collections.ConfigDict,
  *,
  perspectives: tuple[str, ...] | None = None,
  cost: float = 3.0,
  costly: bool = False,
) -> interface.Method:
  """Makes a row of MORNING, of all perspectives or some."""
  # A plain copy would share the parts of the configuration.
  whole = config.copy_and_resolve_references()
  recipe = whole.copy_and_resolve_references()
  if perspectives is not None:
    recipe.model.perspectives = perspectives

  def missing(dataset: accounts_lib.Dataset) -> list[str]:
    return dataset_lib.resolve_inputs(dataset, recipe.model)[1]

  def unavailable(dataset: accounts_lib.Dataset) -> str | None:
    try:
      full = dataset_lib.resolve_inputs(dataset, whole.model)[0].perspectives
    except errors.UserError as e:
      return str(e)
    if perspectives is None:
      return None
    lacking = [p for p in perspectives if p not in full]
    if lacking:
      return f'the data has nothing of the perspective {" or ".join(lacking)}'
    if set(full) == set(perspectives):
      return f'is {name.partition(" (")[0]} itself on this data'
    return None

  return interface.Method(
    key=key,
    name=name,
    source=_PAPER,
    score=lambda task: morning.train_and_score(recipe, task)[0],
    missing=missing,
    unavailable=unavailable,
    score_epochs=lambda task, epochs: morning.train_and_score(
      recipe, task, epochs=epochs
    ),
    recipe=recipe,
    cost=cost,
    costly=costly,
  )


def rows(
  recipes: Mapping[str, ml_collections.ConfigDict],
) -> list[interface.Method]:
  """Lists the rows of MORNING in the order of the tables.

  Args:
    recipes: variant -> configuration: '' (the default), 'paper', 'release'.

  Returns:
    The variants, the ablations, and the default recipe last.
  """
  variants = [
    _row(
      f'morning-{variant}',
      f'MORNING ({variant})',
      recipes[variant],
      cost=45.0,
      costly=True,
    )
    for variant in ('paper', 'release')
  ]
  ablations = [
    _row(
      key,
      f'MORNING ({" + ".join(some)}{" only" if len(some) == 1 else ""})',
      recipes[''],
      perspectives=some,
    )
    for key, some in ABLATIONS.items()
  ]
  return [*variants, *ablations, _row(REFERENCE, 'MORNING', recipes[''])]
