"""One measurement: a method trained on a fold, and what it ranks."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from importlib import metadata

import jax
import ml_collections

from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import sources
from morning_jax.comparison.methods import registry
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import plugins
from morning_jax.evaluation import metrics as metrics_lib

# Distributions whose version can change a result's bits.
_LIBRARIES = (
  'flax',
  'jax',
  'jaxlib',
  'lightgbm',
  'numpy',
  'optax',
  'scipy',
)


@dataclasses.dataclass(frozen=True)
class Trial:
  """One training and its measurement.

  Attributes:
    method: key of the method.
    fold: fold, seed and share of the training brands.
    epochs: after which epochs to measure; empty for the last one.
  """

  method: str
  fold: folds_lib.FoldSpec
  epochs: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Failure:
  """Why a trial has no result.

  Attributes:
    reason: what the data lacks, or what went wrong.
    diverged: whether the training ran, and met numbers that are not finite.
  """

  reason: str
  diverged: bool = False


def measure(
  trial: Trial,
  dataset: accounts_lib.Dataset,
  recipes: Mapping[str, ml_collections.ConfigDict],
) -> list[metrics_lib.BrandStatistics] | Failure:
  """Trains and measures.

  Args:
    trial: what to measure.
    dataset: the data set as it is stored.
    recipes: variant -> configuration.

  Returns:
    What each held-out brand adds to the metrics, after each of the epochs; or
    why the method can't be measured on the data.
  """
  method = registry.table(recipes)[trial.method]
  try:
    task = folds_lib.make_task(dataset, trial.fold)
    if trial.epochs:
      assert method.score_epochs is not None
      scores = method.score_epochs(task, trial.epochs)
    else:
      scores = [method.score(task)]
    return [folds_lib.evaluate(dataset, trial.fold, s) for s in scores]
  except FloatingPointError as e:  # DivergedError is one
    return Failure(str(e), diverged=True)
  except errors.UserError as e:
    return Failure(str(e))


def _version(library: str) -> str:
  try:
    return metadata.version(library)
  except metadata.PackageNotFoundError:
    return 'absent'


def source_digest(environment: Mapping[str, str]) -> str:
  """Returns a digest of what measures: software, libraries and device.

  The software is this module and all that it imports, directly or not, and what
  `MORNING_PLUGINS` names; what draws the tables is not among it.

  Args:
    environment: variables that are set for measuring, such as numbers of
      threads: sums may be in another order.

  Returns:
    The digest in hexadecimal.
  """
  return files.digest(
    {name: _version(name) for name in _LIBRARIES},
    [jax.default_backend(), jax.devices()[0].device_kind],
    dict(environment),
    *(part for module in sources.closure(__name__).items() for part in module),
    *(part for plugin in plugins.loaded_files().items() for part in plugin),
  )
