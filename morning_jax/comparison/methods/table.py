"""The table of methods: one row here is one row of the comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import difflib

import ml_collections
import numpy as np

from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import lambdamart
from morning_jax.comparison.methods import morning as morning_method
from morning_jax.comparison.methods import registry as peers_lib
from morning_jax.comparison.methods import untrained
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
# Key -> the perspectives that are kept.
ABLATIONS: Mapping[str, tuple[str, ...]] = {
  'content-only': ('content',),
  'audience-only': ('audience',),
  'attribute-only': ('attribute',),
  'content-audience': ('content', 'audience'),
  'content-attribute': ('content', 'attribute'),
  'audience-attribute': ('audience', 'attribute'),
}


@dataclasses.dataclass(frozen=True)
class Method:
  """A method as the harness runs it.

  Attributes:
    key: its name on the command line.
    peer: name, source, notes and scores.
    absent: why it is no row of its own on a data set; None where it is one.
    recipe: of a row of MORNING; None of the others.
    cost: of one training, in about seconds on one core; for the time left.
    costly: whether it takes the repetitions of costly methods.
  """

  key: str
  peer: interface.Peer
  absent: Callable[[accounts_lib.Dataset], str | None] = lambda _: None
  recipe: ml_collections.ConfigDict | None = None
  cost: float = 0.1
  costly: bool = False

  def score(
    self, task: interface.Task, epochs: Sequence[int] = ()
  ) -> list[np.ndarray]:
    """Scores a task, after each of the epochs where any are given."""
    if self.recipe is not None:
      return morning_method.train_and_score(self.recipe, task, epochs=epochs)
    return [self.peer.score(task)]


def _no_notes(_: accounts_lib.Dataset) -> list[str]:
  return []


def _nothing_to_whiten(dataset: accounts_lib.Dataset) -> str | None:
  embeddings = accounts_lib.PERSPECTIVES['attribute'].values()
  if any(f in untrained.vectors(dataset) for f in embeddings):
    return None
  return 'is similarity itself on this data'


def _morning(
  key: str,
  name: str,
  config: ml_collections.ConfigDict,
  *,
  perspectives: tuple[str, ...] | None = None,
  cost: float = 3.0,
  costly: bool = False,
) -> Method:
  """Makes a row of MORNING, of all perspectives or some."""
  # A plain copy would share the parts of the configuration.
  whole = config.copy_and_resolve_references()
  recipe = whole.copy_and_resolve_references()
  if perspectives is not None:
    recipe.model.perspectives = perspectives

  def missing(dataset: accounts_lib.Dataset) -> list[str]:
    return dataset_lib.resolve_inputs(dataset, recipe.model)[1]

  def absent(dataset: accounts_lib.Dataset) -> str | None:
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

  return Method(
    key=key,
    peer=interface.Peer(
      name=name,
      source=_PAPER,
      missing=missing,
      score=lambda task: morning_method.train_and_score(recipe, task)[0],
    ),
    absent=absent,
    recipe=recipe,
    cost=cost,
    costly=costly,
  )


def table(
  recipes: Mapping[str, ml_collections.ConfigDict],
) -> dict[str, Method]:
  """Lists all methods in the order of the table.

  Args:
    recipes: variant -> configuration: '' (the default), 'paper', 'release'.

  Returns:
    Key -> method.
  """
  methods = [
    Method(
      'random',
      interface.Peer('RAND', 'chance', _no_notes, untrained.random),
    ),
    Method(
      'popularity',
      interface.Peer(
        'popularity',
        'number of training positives of an influencer',
        lambda _: [
          'influencers that no training brand has are tied at 0, and a tied'
          ' group takes its worst rank'
        ],
        untrained.popularity,
      ),
    ),
    Method(
      'similarity',
      interface.Peer(
        'similarity',
        'Hellinger affinity of topics plus cosine of every other feature;'
        ' nothing is trained',
        _no_notes,
        untrained.similarity,
      ),
      absent=lambda d: None if untrained.vectors(d) else 'no features',
    ),
    Method(
      'similarity-whitened',
      interface.Peer(
        'similarity (whitened)',
        'the same of whitened embeddings: what MORNING starts from; nothing'
        ' but the whitening is fitted',
        _no_notes,
        untrained.whitened_similarity,
      ),
      absent=_nothing_to_whiten,
    ),
    Method(
      'lambdamart',
      interface.Peer(
        'LambdaMART',
        'C. Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82;'
        ' G. Ke et al., "LightGBM", NeurIPS 2017',
        lambdamart.missing,
        lambdamart.score,
      ),
      absent=lambdamart.absent,
      cost=6.0,
    ),
  ]
  methods += [
    Method(key, peer, cost=8.0) for key, peer in peers_lib.PEERS.items()
  ]
  methods += [
    _morning(
      f'morning-{variant}',
      f'MORNING ({variant})',
      recipes[variant],
      cost=45.0,
      costly=True,
    )
    for variant in ('paper', 'release')
  ]
  methods += [
    _morning(
      key,
      f'MORNING ({" + ".join(kept)}{" only" if len(kept) == 1 else ""})',
      recipes[''],
      perspectives=kept,
    )
    for key, kept in ABLATIONS.items()
  ]
  methods.append(_morning(REFERENCE, 'MORNING', recipes['']))
  return {m.key: m for m in methods}


def choose(
  known: Mapping[str, Method],
  wanted: Sequence[str] | None,
  dataset: accounts_lib.Dataset,
) -> tuple[list[Method], list[str]]:
  """Chooses the rows of a table.

  Args:
    known: all methods.
    wanted: keys; None for all that the data and the machine allow.
    dataset: the data set.

  Returns:
    The methods in the order of the table, and a note for each that is left
    out.

  Raises:
    UserError: a key is unknown, or its method can't run here.
  """
  for key in wanted or ():
    if key not in known:
      near = difflib.get_close_matches(key, known, n=3)
      hint = f'; near: {", ".join(near)}' if near else ''
      raise errors.UserError(
        f'--methods={key}: no such method{hint}; there are {", ".join(known)}'
      )
  if wanted is not None and not wanted:
    raise errors.UserError(
      f'--methods: names none; there are {", ".join(known)}'
    )
  chosen, notes = [], []
  for key, method in known.items():
    if wanted is not None and key not in wanted:
      continue
    reason = method.absent(dataset)
    if reason is None:
      chosen.append(method)
    elif wanted is not None:
      raise errors.UserError(f'--methods={key}: {reason}')
    else:
      notes.append(f'{method.peer.name} is left out: {reason}')
  return chosen, notes
