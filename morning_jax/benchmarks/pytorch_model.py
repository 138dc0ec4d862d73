"""The model in plain PyTorch, with the parameters of a Flax one."""

from __future__ import annotations

from collections.abc import Mapping
import itertools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from morning_jax.benchmarks import workload


class _Mlp(nn.Module):
  """Dense layers, leaky ReLU between them, dropout before all but the first."""

  def __init__(self, sizes: list[int], dropout: float):
    super().__init__()
    self.layers = nn.ModuleList(
      nn.Linear(a, b) for a, b in itertools.pairwise(sizes)
    )
    self.dropout = dropout

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    for i, layer in enumerate(self.layers):
      if i:
        x = F.dropout(F.leaky_relu(x, 0.01), self.dropout, self.training)
      x = layer(x)
    return x


class _PaperEncoder(nn.Module):
  """The encoder of `paper`: a vector for missing rows, then an MLP."""

  def __init__(self, size: int, widths: tuple[int, ...], dropout: float):
    super().__init__()
    self.missing = nn.Parameter(torch.zeros(size))
    self.mlp = _Mlp([size, *widths], dropout)

  def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    return self.mlp(torch.where(present[:, None], x, self.missing))


class _ResidualEncoder(nn.Module):
  """The encoder of the default recipe: the input, scaled, plus an MLP."""

  def __init__(self, size: int, widths: tuple[int, ...], dropout: float):
    super().__init__()
    width = max(size, widths[-1])
    self.gain = nn.Parameter(torch.zeros(size))
    self.missing = nn.Parameter(torch.zeros(width))
    self.log_weight = nn.Parameter(torch.zeros(()))
    self.mlp = _Mlp([size, *widths[:-1], width], dropout)

  def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    y = self.mlp(x)
    y = y + F.pad(x * self.gain.exp(), (0, y.shape[1] - x.shape[1]))
    y = y * torch.rsqrt(y.square().sum(1, keepdim=True) + 1e-6)
    y = torch.where(present[:, None], y, self.missing)
    return (self.log_weight / 2).exp() * y


class Morning(nn.Module):
  """The model, with the parameters of a Flax one."""

  def __init__(self, work: workload.Workload):
    """Builds it with the sizes and the parameters of a workload.

    Args:
      work: its model takes embeddings in the attribute perspective.
    """
    super().__init__()
    config = work.config.model
    widths = {
      'image': tuple(config.image_widths),
      'text': tuple(config.text_widths),
      'embedding': tuple(config.attribute_widths),
    }
    self.residual = config.encoder == 'residual'
    self.features: dict[str, dict[str, str]] = {}
    self.towers = nn.ModuleDict()
    params: Any = work.state.params
    makers: Any = work.model.towers  # partials, which hold the features
    for perspective, maker in makers.items():
      features = maker.keywords['features']
      self.features[perspective] = dict(features)
      tower = nn.ModuleDict()
      for modality, feature in features.items():
        size = work.table.features[feature].shape[1]
        kind: Any = _ResidualEncoder if self.residual else _PaperEncoder
        dropout = config.hidden_dropout
        if not self.residual:
          # The attribute encoder of the paper has none.
          dropout = 0.0 if modality == 'embedding' else config.layer_dropout
        encoder = kind(size, widths[modality], dropout)
        of_tower = params[perspective]
        _copy(encoder, of_tower.get(modality, of_tower))
        tower[modality] = encoder
      self.towers[perspective] = tower
    self.gates = None
    if 'coattention' in params:
      self.gates = nn.ModuleDict()
      for name, gate in params['coattention'].items():
        linear = nn.Linear(*gate['kernel'].shape)
        _copy_linear(linear, gate)
        self.gates[name] = linear

  def forward(
    self, values: Mapping[str, torch.Tensor], present: Mapping[str, Any]
  ) -> dict[str, torch.Tensor]:
    """Encodes accounts: perspective -> [A, D]."""
    encoded = {}
    for perspective, features in self.features.items():
      parts = [
        self.towers[perspective][m](values[f], present[f])
        for m, f in features.items()
      ]
      if self.residual:
        encoded[perspective] = torch.cat(parts, dim=1)
      else:
        encoded[perspective] = torch.stack(parts).prod(0)
    if self.gates is not None:
      content, audience = encoded['content'], encoded['audience']
      affinity = torch.sigmoid(self.gates['content'](content)) * torch.sigmoid(
        self.gates['audience'](audience)
      )
      for k in ('content', 'audience'):
        x = encoded[k]
        encoded[k] = torch.softmax(x * affinity, 1) * x * x.shape[1]
    return encoded


def _copy_linear(linear: nn.Linear, params: Any) -> None:
  with torch.no_grad():
    linear.weight.copy_(torch.tensor(np.asarray(params['kernel']).T))
    linear.bias.copy_(torch.tensor(np.asarray(params['bias'])))


def _copy(encoder: Any, params: Any) -> None:
  for i, layer in enumerate(encoder.mlp.layers):
    _copy_linear(layer, params[f'dense{i}'])
  with torch.no_grad():
    for name in ('missing', 'gain', 'log_weight'):
      if name in params:
        getattr(encoder, name).copy_(torch.tensor(np.asarray(params[name])))
