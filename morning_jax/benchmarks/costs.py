"""The least FLOPs and bytes of encoding and training, counted by hand.

XLA's own count misses the steps of a loop but one, and counts what a program
does rather than what it would have to do.
"""

from __future__ import annotations

from typing import Any

import jax

from morning_jax.benchmarks import workload

# Passes over all parameters in a step of Adam: read by the forward and the
# backward pass; gradients written; then parameters, gradients and both moments
# read, parameters and moments written.
PASSES = 10


def _kernels(params: Any) -> dict[str, tuple[int, ...]]:
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf.shape
    for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    if path[-1].key == 'kernel'
  }


def encoding_flops(params: Any) -> float:
  """Counts the FLOPs of encoding one account: the matrix products."""
  return sum(2.0 * a * b for a, b in _kernels(params).values())


def gradient_flops(params: Any, *, inputs_too: bool) -> float:
  """Counts the FLOPs of one account, forward and backward.

  Args:
    params: the parameters.
    inputs_too: whether first layers pass a gradient to their inputs, as the
      learned vector of a missing modality needs it in `paper`.
  """
  return sum(
    2.0 * a * b * (3 if inputs_too or not path.endswith('dense0/kernel') else 2)
    for path, (a, b) in _kernels(params).items()
  )


def step(work: workload.Workload) -> tuple[float, float]:
  """Counts the FLOPs and the bytes of one training step.

  Args:
    work: what is trained.

  Returns:
    FLOPs of all matrix products; bytes of parameters, gradients and
    optimizer's state, each as often as it must be read and written, and of
    the features gathered. Activations may stay in caches and are left out.
  """
  config = work.config
  batch_size = config.train.batch_size
  accounts = 2 * batch_size
  pairs = 0.0
  if config.loss.kind == 'triplet':
    accounts += batch_size * config.train.negatives
  else:
    # Scores and their gradients with respect to either side.
    pairs = 3 * 2.0 * batch_size**2 * width(work)
  per_account = gradient_flops(
    work.state.params, inputs_too=config.model.encoder == 'paper'
  )
  features = sum(x.shape[1] for x in work.table.features.values())
  moved = PASSES * 4.0 * workload.count(work.state.params)
  return accounts * per_account + pairs, moved + 4.0 * accounts * features


def width(work: workload.Workload) -> int:
  """Returns the size of an account's representation, all perspectives."""
  one = work.table[:1]
  shapes = jax.eval_shape(
    lambda params: work.model.apply(
      {'params': params}, one, role='brand', method='encode'
    ),
    work.state.params,
  )
  return sum(x.shape[1] for x in jax.tree.leaves(shapes))
