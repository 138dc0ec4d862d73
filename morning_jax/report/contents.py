"""All that a report shows, as plain values for the templates."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
import os
import pathlib
import re
from typing import Any

import jax

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.evaluation import metrics as metrics_lib
from morning_jax.graph import attribute_graph
from morning_jax.graph import inspection
from morning_jax.recommend import advice as advice_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import confidence
from morning_jax.report import ablations
from morning_jax.report import cases as cases_lib
from morning_jax.report import measures
from morning_jax.training import history

_NEIGHBOURS = 10
_CENTRES = 4  # attributes whose neighbours are shown
UNKNOWN_LICENSE = 'unknown'


@dataclasses.dataclass(frozen=True)
class Neighbourhood:
  """An attribute and its heaviest edges.

  Attributes:
    name: the attribute.
    edges: how many it has in all.
    neighbours: (name, weight), heaviest first.
  """

  name: str
  edges: int
  neighbours: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Contents:
  """What a report and its cards are filled from.

  Attributes:
    title: of the page.
    date: today, UTC.
    run: (what, value) of the run.
    data: (what, value) of the data.
    history: metric -> (step, value) of the validation brands.
    quality: how well brands are ranked.
    comparison: with other methods and without its parts; None if not measured.
    bands: how often places came true; empty without validation brands.
    neighbourhoods: of the attribute graph.
    cases: the case studies.
    titles: metric -> its heading.
    perspectives: of the model.
    features: feature -> its size, of those that the model takes.
    step: training step of the model.
    fingerprint: of the bundle.
    license: of the model, as Hugging Face names it.
  """

  title: str
  date: str
  run: tuple[tuple[str, str], ...]
  data: tuple[tuple[str, str], ...]
  history: dict[str, list[tuple[int, float]]]
  quality: measures.Quality
  comparison: ablations.Comparison | None
  bands: tuple[confidence.Band, ...]
  neighbourhoods: tuple[Neighbourhood, ...]
  cases: tuple[cases_lib.Case, ...]
  titles: dict[str, str]
  perspectives: tuple[str, ...]
  features: dict[str, int]
  step: int
  fingerprint: str
  license: str


def gather(
  workdir: str | os.PathLike[str] | None,
  catalogue: catalogue_lib.Catalogue,
  *,
  brands: Sequence[str] = (),
  best: int = 2,
  exclude: frozenset[str] = frozenset(),
  comparison: str | os.PathLike[str] | None = None,
  license_name: str = UNKNOWN_LICENSE,
) -> Contents:
  """Measures and explains what a report shows.

  Args:
    workdir: the folder that training wrote; without it, no history is told.
    catalogue: its model, and the bundle.
    brands: whose cases are asked for.
    best: how many of the best ranked brands, and as many of the worst.
    exclude: influencers who asked to be left out.
    comparison: a folder of `launch.compare`.
    license_name: of the model.

  Returns:
    The contents.

  Raises:
    UserError: an unknown brand, no brand was held out, no comparison in the
      folder, or no name of a license.
  """
  if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9.+_-]{0,79}', license_name):
    raise errors.UserError(
      f'license {errors.quoted(license_name)}: is no name of one, as apache-2.0'
      ' is (letters, digits, . + _ -)'
    )
  compared = None
  if comparison is not None:
    compared = ablations.read(
      comparison, data_fingerprint=catalogue.bundle_fingerprint
    )
  quality = measures.measure(catalogue)
  adviser = advice_lib.Adviser(catalogue)
  chosen = measures.chosen_brands(catalogue, quality, brands, best=best)
  return Contents(
    title=_title(catalogue, workdir),
    date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    run=_run(catalogue),
    data=_data(catalogue),
    history={} if workdir is None else _history(workdir),
    quality=quality,
    comparison=compared,
    bands=tuple(adviser.bands.bands),
    neighbourhoods=_neighbourhoods(catalogue),
    cases=tuple(
      cases_lib.study(catalogue, adviser, name, why, exclude=exclude)
      for why, name in chosen
    ),
    titles=dict(metrics_lib.TITLES),
    perspectives=catalogue.perspectives,
    features=dict(catalogue.trained.spec.feature_sizes),
    step=catalogue.step,
    fingerprint=catalogue.bundle_fingerprint,
    license=license_name,
  )


def _title(
  catalogue: catalogue_lib.Catalogue, workdir: str | os.PathLike[str] | None
) -> str:
  of = catalogue.dataset.name if workdir is None else os.path.abspath(workdir)
  return f'Influencer ranking: {os.path.basename(of)}'


def _run(catalogue: catalogue_lib.Catalogue) -> tuple[tuple[str, str], ...]:
  trained, config = catalogue.trained, catalogue.trained.config
  numbers = sum(x.size for x in jax.tree.leaves(trained.params))
  return (
    ('encoder', str(config.model.encoder)),
    ('perspectives', ', '.join(catalogue.perspectives)),
    ('attributes', str(trained.spec.attribute_encoder or 'not used')),
    ('co-attention', str(config.model.co_attention)),
    ('parameters', f'{numbers:,}'),
    ('training step', f'{trained.step:,}'),
    ('epochs asked for', f'{config.train.epochs:,}'),
    ('learning rate', f'{config.optimizer.learning_rate:g}'),
    ('seed', str(config.seed)),
  )


def _data(catalogue: catalogue_lib.Catalogue) -> tuple[tuple[str, str], ...]:
  dataset = catalogue.dataset
  splits = dataset.accounts.splits[catalogue.brands.account_row_N]
  counts = [f'{(splits == s).sum():,} {s}' for s in accounts_lib.SPLITS]
  return (
    ('name', os.path.basename(dataset.name) or dataset.name),
    ('the data trained on', 'yes' if catalogue.is_own_data else 'no'),
    ('brands', f'{len(catalogue.brands):,} ({", ".join(counts)})'),
    ('influencers', f'{len(catalogue.influencers):,}'),
    ('cooperations', f'{len(dataset.positives_Px2):,}'),
    (
      'features',
      ', '.join(f'{f} {n:,}' for f, n in dataset.feature_sizes.items()),
    ),
    ('attributes', f'{len(dataset.attribute_names):,}'),
    ('fingerprint', catalogue.bundle_fingerprint[:16]),
  )


def _history(
  workdir: str | os.PathLike[str],
) -> dict[str, list[tuple[int, float]]]:
  found: dict[str, list[tuple[int, float]]] = {}
  for line in history.read(pathlib.Path(workdir)):
    for name in ('auc', 'recall@10', 'map'):
      value: Any = line.get(name)
      if isinstance(value, float):
        found.setdefault(name, []).append((line['step'], value))
  return {name: points for name, points in found.items() if len(points) > 1}


def _neighbourhoods(
  catalogue: catalogue_lib.Catalogue,
) -> tuple[Neighbourhood, ...]:
  if not catalogue.dataset.attribute_names:
    return ()
  try:
    graph = attribute_graph.build_graph(catalogue.dataset)
  except attribute_graph.GraphError:  # no edge
    return ()
  centres: list[str] = []
  for a, b, _ in inspection.strongest_pairs(graph, count=graph.num_edges):
    centres += [n for n in (a, b) if n not in centres]
    if len(centres) >= _CENTRES:
      break
  found = []
  for name in centres[:_CENTRES]:
    others, weight = inspection.linked(graph, inspection.node_of(graph, name))
    found.append(
      Neighbourhood(
        name=name,
        edges=len(others),
        neighbours=tuple(
          (str(graph.names_V[n]), float(w))
          for n, w in zip(
            others[:_NEIGHBOURS], weight[:_NEIGHBOURS], strict=True
          )
        ),
      )
    )
  return tuple(found)
