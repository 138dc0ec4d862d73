"""How many topics: held-out perplexity and coherence over a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import os
import pathlib

from jax.sharding import Mesh
import numpy as np
import tabulate

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import random_streams
from morning_jax.core.random_streams import Stream
from morning_jax.features.text import corpus
from morning_jax.features.text import vocabulary as vocabulary_lib
from morning_jax.features.topics import coherence
from morning_jax.features.topics import lda
from morning_jax.features.topics import options as options_lib

_INK = '#22313f'
_ACCENT = '#c0392b'


@dataclasses.dataclass(frozen=True)
class SelectionOptions:
  """How the number of topics is chosen.

  Attributes:
    grid: numbers to try.
    held_out: share of the documents that perplexity is measured on.
    near: a number of topics is a candidate if its perplexity is at most this
      share above the least.
    top_words: of a topic whose coherence counts.
  """

  grid: tuple[int, ...] = (10, 15, 20, 25, 30, 40, 50)
  held_out: float = 0.1
  near: float = 0.02
  top_words: int = 10

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      UserError: names the field that can't be.
    """
    if not self.grid or min(self.grid) < 2:
      raise errors.UserError(
        f'topics: the grid {errors.quoted(self.grid)} has to name numbers of at'
        ' least 2'
      )
    if not 0 < self.held_out < 1:
      raise errors.UserError(
        f'held_out: {self.held_out} is not between 0 and 1'
      )
    if not self.near >= 0:
      raise errors.UserError(f'near: {self.near} is less than 0')
    if self.top_words < 2:
      raise errors.UserError(f'top_words: {self.top_words} is less than 2')


@dataclasses.dataclass(frozen=True)
class Candidate:
  """One number of topics.

  Attributes:
    num_topics: T.
    perplexity: of held-out documents, by completion.
    u_mass: mean over the topics.
    npmi: mean over the topics.
  """

  num_topics: int
  perplexity: float
  u_mass: float
  npmi: float


@dataclasses.dataclass(frozen=True)
class Selection:
  """What was tried and what was chosen.

  Attributes:
    candidates: by number of topics.
    num_topics: the choice.
  """

  candidates: tuple[Candidate, ...]
  num_topics: int

  def table(self) -> str:
    """Returns the candidates as text; the choice has a star."""
    return tabulate.tabulate(
      [
        [
          f'{c.num_topics}{" *" if c.num_topics == self.num_topics else ""}',
          c.perplexity,
          c.u_mass,
          c.npmi,
        ]
        for c in self.candidates
      ],
      headers=['topics', 'held-out perplexity', 'u_mass', 'NPMI'],
      floatfmt=('', '.1f', '.3f', '.3f'),
      colalign=('left', 'right', 'right', 'right'),
    )

  def draw(self, path: str | os.PathLike[str]) -> None:
    """Draws perplexity and coherence against the number of topics.

    Args:
      path: where the picture goes; its ending decides the kind (.png, .svg).

    Raises:
      UserError: matplotlib is not installed, or the picture can't be written.
    """
    _draw(self, pathlib.Path(path))


def choose(
  source: corpus.Source,
  vocabulary: vocabulary_lib.Vocabulary,
  *,
  options: SelectionOptions | None = None,
  lda_options: options_lib.LdaOptions | None = None,
  mesh: Mesh | None = None,
  report: Callable[[Candidate], None] | None = None,
) -> Selection:
  """Chooses the number of topics.

  Models of all numbers are fitted to the same documents. Of those whose
  perplexity on the others is within `near` of the least, the one whose topics
  are most coherent (NPMI) is chosen; of equals, the smallest. Perplexity alone
  would go on splitting topics for the last percent.

  Args:
    source: documents, to be read several times.
    vocabulary: of their words.
    options: the defaults if None.
    lda_options: how each model is learned; the defaults if None.
    mesh: see `lda.fit`.
    report: is told of each candidate.

  Returns:
    The choice, with the figures of all.

  Raises:
    UserError: there are too few documents.
  """
  options = options or SelectionOptions()
  lda_options = lda_options or options_lib.LdaOptions()
  kept = _Part(source, options.held_out, lda_options.seed, held_out=False)
  held_out = _Part(source, options.held_out, lda_options.seed, held_out=True)
  if not any((p.lengths > 1).any() for p in held_out):
    raise errors.UserError(
      'too few accounts with captions to choose the number of topics; give it'
    )
  grid = sorted(set(options.grid))
  found = []
  for num_topics in grid:
    model = lda.fit(
      kept, vocabulary, num_topics, options=lda_options, mesh=mesh
    )
    top = model.top_words(options.top_words)
    meetings = coherence.count_meetings(source, np.unique(top))
    found.append(
      Candidate(
        num_topics=num_topics,
        perplexity=model.completion_perplexity(held_out, mesh=mesh),
        u_mass=float(coherence.u_mass(meetings, top).mean()),
        npmi=float(coherence.npmi(meetings, top).mean()),
      )
    )
    if report is not None:
      report(found[-1])
  return Selection(tuple(found), best_of(found, near=options.near))


def best_of(candidates: Sequence[Candidate], *, near: float) -> int:
  """Returns the number of topics that `choose` takes, see there."""
  most = (1 + near) * min(c.perplexity for c in candidates)
  eligible = [c for c in candidates if c.perplexity <= most]
  return min(eligible, key=lambda c: (-c.npmi, c.num_topics)).num_topics


@dataclasses.dataclass(frozen=True)
class _Part:
  """The documents that are held out, or the others.

  Which ones are depends on their numbers in the sequence alone.
  """

  source: corpus.Source
  share: float
  seed: int
  held_out: bool

  def __iter__(self) -> Iterator[corpus.Documents]:
    size = 1 << 13
    for number, part in enumerate(corpus.windows(self.source, size)):
      draw = random_streams.generator(self.seed, Stream.TOPICS_HELD_OUT, number)
      chosen = draw.random(size)[: len(part)] < self.share
      yield corpus.take(part, np.flatnonzero(chosen == self.held_out))


def _draw(selection: Selection, path: pathlib.Path) -> None:
  try:
    from matplotlib.backends import backend_agg
    from matplotlib.figure import Figure
  except ImportError:
    raise errors.UserError(
      "a picture needs matplotlib: pip install 'morning_jax[report]'"
    ) from None
  figure = Figure(figsize=(9, 3.6), dpi=130, facecolor='white')
  backend_agg.FigureCanvasAgg(figure)
  numbers = [c.num_topics for c in selection.candidates]
  for axes, label, values in zip(
    figure.subplots(1, 3),
    ('held-out perplexity', 'coherence (NPMI)', 'coherence (u_mass)'),
    (
      [c.perplexity for c in selection.candidates],
      [c.npmi for c in selection.candidates],
      [c.u_mass for c in selection.candidates],
    ),
    strict=True,
  ):
    axes.plot(numbers, values, color=_INK, marker='o', markersize=4)
    axes.axvline(selection.num_topics, color=_ACCENT, linestyle='--')
    axes.set_xlabel('topics')
    axes.set_title(label, fontsize=10, color=_INK)
    axes.spines[['top', 'right']].set_visible(False)
  figure.tight_layout()
  kind = path.suffix.removeprefix('.') or 'png'
  try:
    files.write_whole(path, lambda f: figure.savefig(f, format=kind))
  except (OSError, ValueError) as e:
    raise errors.UserError(errors.in_file(path, str(e))) from None
