"""What the user may choose about topics."""

from __future__ import annotations

import dataclasses
import math

from morning_jax.core import errors


@dataclasses.dataclass(frozen=True)
class LdaOptions:
  """How topics are learned: online variational Bayes.

  Attributes:
    passes: over all documents.
    batch_size: documents of an update.
    document_prior: of a document's topics (alpha); None takes 1 / T.
    topic_prior: of a topic's words (eta); None takes 1 / T.
    decay: how fast old updates are forgotten (kappa), above 0.5 and at most 1.
    offset: slows the first updates down (tau), at least 0.
    document_steps: of a document's own topics in an update, at most.
    tolerance: mean change of a document's variational parameters at which they
      stay as they are.
    shuffle_window: documents that are shuffled at once, and held in memory.
    seed: of the start and the order.
  """

  passes: int = 10
  batch_size: int = 256
  document_prior: float | None = None
  topic_prior: float | None = None
  decay: float = 0.7
  offset: float = 10.0
  document_steps: int = 100
  tolerance: float = 1e-3
  shuffle_window: int = 1 << 14
  seed: int = 0

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      UserError: names the field that can't be.
    """
    for field in ('passes', 'batch_size', 'document_steps', 'shuffle_window'):
      if getattr(self, field) < 1:
        raise errors.UserError(
          f'{field}: {getattr(self, field)} is less than 1'
        )
    for field in ('document_prior', 'topic_prior', 'tolerance'):
      value = getattr(self, field)
      if value is not None and not (value > 0 and math.isfinite(value)):
        raise errors.UserError(f'{field}: {value} is not above 0')
    if not 0.5 < self.decay <= 1:
      raise errors.UserError(
        f'decay: {self.decay} is not above 0.5 and at most 1, as convergence'
        ' needs'
      )
    if not (self.offset >= 0 and math.isfinite(self.offset)):
      raise errors.UserError(f'offset: {self.offset} is less than 0')
    if not 0 <= self.seed < 1 << 32:
      raise errors.UserError(f'seed: {self.seed} is not of 0..2^32-1')

  def priors(self, num_topics: int) -> tuple[float, float]:
    """Returns the priors of a document's topics and of a topic's words."""
    alpha, eta = self.document_prior, self.topic_prior
    even = 1.0 / num_topics
    return even if alpha is None else alpha, even if eta is None else eta
