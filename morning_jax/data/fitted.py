"""What is fitted to the training accounts before training, and kept with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_collections

from morning_jax.core import accounts as accounts_lib
from morning_jax.data import pipeline
from morning_jax.data import splits as splits_lib
from morning_jax.graph import attribute_graph
from morning_jax.model import factory

# What the attribute graph is called among what was fitted.
GRAPH = 'attribute_graph'


def fit_inputs(
  config: ml_collections.ConfigDict,
  dataset: accounts_lib.Dataset,
  split: splits_lib.Split,
  kinds: Mapping[str, str],
  features: Mapping[str, int],
) -> dict[str, Any]:
  """Fits to the training accounts what training does not change.

  Args:
    config: the whole configuration.
    dataset: the data set.
    split: what is trained on.
    kinds: feature -> kind of transform.
    features: feature -> size, of what takes part.

  Returns:
    Feature -> what its transform was fitted to; the attribute graph.
  """
  fitted = pipeline.fit_transforms(
    kinds, dataset, split, strength=config.model.whitening
  )
  if accounts_lib.ATTRIBUTE_LIST in features:
    fitted[GRAPH] = pipeline.fit_graph(
      config.model.attribute,
      dataset,
      kind=factory.graph_encoder(config.model),
      seed=config.seed,
      # A stored graph knows the pairs of all training brands, also of those
      # that a fold holds out.
      stored=not config.data.folds,
    )
  return fitted


def graph_of(fitted: Mapping[str, Any]) -> Any:
  """Returns the attribute graph among what was fitted, or None."""
  if GRAPH not in fitted:
    return None
  return attribute_graph.from_arrays(fitted[GRAPH])
