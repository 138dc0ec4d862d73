"""The same losses and training step in plain PyTorch, to compare with.

Written as one would write it there: eager modules, a loop in Python, the fused
Adam, features of all accounts on the device and gathered by row. Dropout comes
from PyTorch's own generator; with it off, losses are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np
import torch
from torch.nn import functional as F

from morning_jax.benchmarks import pytorch_model
from morning_jax.benchmarks import workload


def _triplet(
  encoded: Mapping[str, torch.Tensor], count: int, margins: Mapping[str, float]
) -> torch.Tensor:
  """Hinge and cross entropy, rows being brands, positives, negatives."""
  hinges, gaps = [], []
  for k, x in encoded.items():
    brand, positive, negative = x[:count], x[count : 2 * count], x[2 * count :]
    gaps.append((brand * negative).sum(1) - (brand * positive).sum(1))
    hinges.append(F.relu(gaps[-1] + margins[k]).mean())
  return torch.stack(hinges).sum() + F.softplus(sum(gaps)).mean()


def _all_pairs(
  encoded: Mapping[str, torch.Tensor],
  count: int,
  known: torch.Tensor,
  temperature: float,
  category: torch.Tensor,
  category_weight: float,
) -> torch.Tensor:
  """Softmax both ways and within categories, known positives masked."""
  score = sum(x[:count] @ x[count:].T for x in encoded.values()) / temperature
  own = torch.eye(count, dtype=torch.bool, device=known.device)
  score = score.masked_fill(known & ~own, -torch.inf)
  target = torch.arange(count, device=known.device)
  value = F.cross_entropy(score, target) + F.cross_entropy(score.T, target)
  if category_weight:
    same = (category[:, None] == category) & (category[:, None] >= 0)
    within = score.masked_fill(~same & ~own, -torch.inf)
    value = value + category_weight * F.cross_entropy(within, target)
  return value


class Trainer:
  """Trains the model as a script in PyTorch would."""

  def __init__(self, work: workload.Workload):
    """Takes model, parameters and data over from a workload.

    Args:
      work: of the variants `paper` or the default recipe, with one negative
        and no pairwise hinge in `all_pairs`.
    """
    self.config: ml_collections.ConfigDict = work.config
    self.device = 'cuda' if torch.cuda.is_available() else 'cpu'

    def put(x: Any) -> torch.Tensor:
      return torch.tensor(np.asarray(x)).to(self.device)

    self.model = pytorch_model.Morning(work).to(self.device)
    self.values = {k: put(v) for k, v in work.table.features.items()}
    self.present = {k: put(v) for k, v in work.table.present.items()}
    data = work.data
    self.brand_row_B = put(data.brand_row_B).long()
    self.category_B = put(data.category_B)
    self.candidate_row_M = put(data.candidate_row_M).long()
    count = int(data.num_positives)
    self.brand_P = put(data.brand_P[:count]).long()
    self.candidate_P = put(data.candidate_P[:count]).long()
    shape = (len(self.brand_row_B), len(self.candidate_row_M))
    self.known_BxM = torch.zeros(shape, dtype=torch.bool, device=self.device)
    self.known_BxM[self.brand_P, self.candidate_P] = True
    # Each brand's negatives first, so that a draw is a look-up.
    self.rest_BxM = torch.argsort(self.known_BxM.int(), dim=1, stable=True)
    self.num_rest_B = (~self.known_BxM).sum(1)
    settings = work.config.optimizer
    self.optimizer = torch.optim.Adam(
      self.model.parameters(), settings.learning_rate, fused=True
    )
    self.schedule = torch.optim.lr_scheduler.ExponentialLR(
      self.optimizer, settings.decay_rate
    )
    self.step = 0
    self.order = torch.empty(0, dtype=torch.long)

  def draw(self, brand: torch.Tensor) -> torch.Tensor:
    """Draws one negative for each brand of a batch."""
    rest = self.num_rest_B[brand]
    place = (torch.rand(len(brand), device=self.device) * rest).long()
    return self.rest_BxM[brand, place]

  def loss(
    self, positives: torch.Tensor, negatives: torch.Tensor | None
  ) -> torch.Tensor:
    """Computes the loss of a batch.

    Args:
      positives: [P] indices of positives.
      negatives: [P] influencers, of `triplet`.
    """
    loss = self.config.loss
    brand, candidate = self.brand_P[positives], self.candidate_P[positives]
    influencers = candidate
    if negatives is not None:
      influencers = torch.cat([candidate, negatives])
    rows = torch.cat(
      [self.brand_row_B[brand], self.candidate_row_M[influencers]]
    )
    encoded = self.model(
      {k: v[rows] for k, v in self.values.items()},
      {k: v[rows] for k, v in self.present.items()},
    )
    if negatives is not None:
      value = _triplet(encoded, len(brand), loss.margins)
    else:
      known = self.known_BxM[brand[:, None], candidate[None, :]]
      value = _all_pairs(
        encoded,
        len(brand),
        known,
        loss.temperature,
        self.category_B[brand],
        loss.category_weight,
      )
    for name, p in self.model.named_parameters():
      if p.ndim == 2 and loss.l1:
        value = value + loss.l1 * p.abs().sum()
      elif p.ndim == 2 and loss.l2:
        value = value + loss.l2 * p.square().sum()
      elif name.endswith('gain') and loss.l2:
        value = value + 0.5 * loss.l2 * p.square().sum()
    return value

  def run(self, length: int) -> float:
    """Takes a number of steps; returns the last loss."""
    batch_size = self.config.train.batch_size
    count = len(self.brand_P)
    per_epoch = max(1, count // batch_size)
    value = torch.zeros(())
    for _ in range(length):
      place = self.step % per_epoch
      if not place:
        self.order = torch.randperm(count, device=self.device)
      index = torch.arange(batch_size, device=self.device)
      positives = self.order[(place * batch_size + index) % count]
      negatives = None
      if self.config.loss.kind == 'triplet':
        negatives = self.draw(self.brand_P[positives])
      value = self.loss(positives, negatives)
      self.optimizer.zero_grad(set_to_none=True)
      value.backward()
      self.optimizer.step()
      self.step += 1
      if not self.step % per_epoch:
        self.schedule.step()
    return value.item()  # waits for the device
