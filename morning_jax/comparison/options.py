"""What a comparison is asked for."""

from __future__ import annotations

import dataclasses

from morning_jax.comparison import curves as curves_lib
from morning_jax.comparison import statistics
from morning_jax.core import errors

SPLITS = ('train', 'test')
# Option -> its least and its greatest value. A seed has 32 bits; the others
# keep memory and processes within what a machine may have.
_RANGES = {
  'folds': (2, 10_000),
  'seeds': (1, 10_000),
  'costly_seeds': (1, 10_000),
  'jobs': (0, 256),
  'resamples': (1, 1_000_000),
}


@dataclasses.dataclass(frozen=True)
class Options:
  """What to compare.

  Attributes:
    methods: keys of the methods; None for all that the data allows.
    split: whose brands are ranked for: 'train' by cross-validation; 'test': the
      data set's own test brands too, with all training brands to train on.
    folds: folds of a repetition.
    seeds: repetitions: each splits the brands into other folds and seeds the
      methods.
    costly_seeds: repetitions of methods that take long.
    curves: pictures to draw, of `curves.KINDS`.
    jobs: workers; 0 for none, None for one a core.
    resamples: of the bootstrap.
  """

  methods: tuple[str, ...] | None = None
  split: str = 'train'
  folds: int = 5
  seeds: int = 3
  costly_seeds: int = 1
  curves: tuple[str, ...] = ()
  jobs: int | None = None
  resamples: int = statistics.RESAMPLES

  def __post_init__(self) -> None:
    """Checks the options by themselves, before any data is read.

    Raises:
      UserError: a number is out of its range, or a split or a picture unknown.
    """
    if self.split not in SPLITS:
      raise errors.UserError(
        f'--split={errors.quoted(self.split)}: takes {" or ".join(SPLITS)}'
      )
    for name, (least, greatest) in _RANGES.items():
      value = getattr(self, name)
      if value is not None and not least <= value <= greatest:
        raise errors.UserError(
          f'--{name}={value}: takes {least:,} to {greatest:,}'
        )
    curves_lib.check_kinds(self.curves)
