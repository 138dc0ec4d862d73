"""Pictures decoded and encoded per second, a part of `prepare`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import functools
import math
import pathlib
import tempfile
from typing import Any

from flax import linen as nn
import jax
from jax import numpy as jnp
import numpy as np
from PIL import Image

from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.features.images import decoding
from morning_jax.features.images import encoder as encoder_lib
from morning_jax.features.images import features
from morning_jax.features.images import networks
from morning_jax.features.images import options as options_lib

_SIDES = (1080, 1350)  # as posts have it
_NETWORKS = ('imagenet-resnet18', 'imagenet-resnet50')
_POSTS = 4  # of an account


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures decoding, encoding, and both together with aggregation.

  Networks have random weights: what they cost does not depend on them. A
  picture's FLOPs are those of convolutions and the last layer.

  Args:
    options: `quick`, `repeats`, `folder`.
    rates: of this machine.

  Yields:
    Figures of `prepare`, in pictures/s.
  """
  names = _NETWORKS[:1] if options.quick else _NETWORKS
  batch_size = 2 if options.quick else 32
  count = 2 * batch_size
  with tempfile.TemporaryDirectory(dir=options.folder) as folder:
    paths = _write(pathlib.Path(folder), count)
    yield from _decoding(options, rates, paths)
    for name in names:
      encoder = random_encoder(name)
      yield _encoding(options, rates, encoder, batch_size=batch_size)
      yield _all(options, rates, encoder, paths, batch_size=batch_size)


def _figure(
  options: harness.Options,
  call: Callable[[], Any],
  limit: harness.Limit,
  pictures: int,
  **parameters: Any,
) -> harness.Measurement:
  repeats = min(options.repeats, 3)
  seconds = harness.interleave({'': call}, repeats=repeats)['']
  return harness.measured(
    'prepare',
    {'implementation': 'morning_jax', **parameters},
    seconds,
    limit,
    work=float(pictures),
    unit='pictures/s',
  )


def _decoding(
  options: harness.Options,
  rates: rates_lib.Rates,
  paths: Sequence[pathlib.Path],
) -> Iterator[harness.Measurement]:
  view = networks.NETWORKS[_NETWORKS[0]].view
  # Files are read; pixels, at half of each side, written and read again.
  pixels = 3 * math.prod(_SIDES) / 4
  moved = sum(path.stat().st_size for path in paths) + 2 * len(paths) * pixels
  for threads in sorted({1, harness.num_threads()}):
    yield _figure(
      options,
      functools.partial(_decode_all, paths, view, threads),
      rates.limit(flops=0.0, moved=moved),
      len(paths),
      stage='pictures decoded',
      size=f'{_SIDES[0]} x {_SIDES[1]} JPEG',
      threads=threads,
    )


def _decode_all(
  paths: Sequence[pathlib.Path], view: decoding.View, threads: int
) -> list[decoding.Decoded | decoding.Failed]:
  return list(decoding.decode_all(paths, [view], threads=threads))


def _encoding(
  options: harness.Options,
  rates: rates_lib.Rates,
  encoder: encoder_lib.ImageEncoder,
  *,
  batch_size: int,
) -> harness.Measurement:
  size = encoder.views[0].size
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (batch_size, 1, size, size, 3), np.uint8)
  return _figure(
    options,
    functools.partial(encoder.encode, pixels),
    _limit(rates, encoder, batch_size),
    batch_size,
    stage='pictures encoded',
    encoder=encoder.name,
    batch_size=batch_size,
  )


def _all(
  options: harness.Options,
  rates: rates_lib.Rates,
  encoder: encoder_lib.ImageEncoder,
  paths: Sequence[pathlib.Path],
  *,
  batch_size: int,
) -> harness.Measurement:
  posts = [features.Post(path.name, (path,)) for path in paths]
  accounts = [posts[i : i + _POSTS] for i in range(0, len(posts), _POSTS)]
  chosen = options_lib.ImageOptions(encoder=encoder.name, batch_size=batch_size)
  return _figure(
    options,
    lambda: features.picture_features(accounts, encoder, chosen).values_AxF,
    _limit(rates, encoder, len(paths)),
    len(paths),
    stage='pictures to features',
    encoder=encoder.name,
    batch_size=batch_size,
  )


def _limit(
  rates: rates_lib.Rates, encoder: encoder_lib.ImageEncoder, pictures: int
) -> harness.Limit:
  weights = sum(x.size for x in jax.tree.leaves(encoder.params))
  network = networks.NETWORKS[encoder.name]
  return rates.limit(
    flops=pictures * flops(network.module, encoder.views[0].size),
    moved=4.0 * weights,
    exact=True,
  )


def random_encoder(name: str) -> encoder_lib.ImageEncoder:
  """Returns the encoder of a network, with random weights.

  Args:
    name: of `networks.NETWORKS`.
  """
  network = networks.NETWORKS[name]
  size = network.view.size
  shapes = jax.eval_shape(
    network.module.init, jax.random.key(0), jnp.zeros((1, size, size, 3))
  )['params']
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: rng.uniform(0.0, 0.1, x.shape).astype(np.float32), shapes
  )
  return networks.encoder_of(name, params, '')


def flops(module: nn.Module, size: int) -> float:
  """Counts the FLOPs of one picture: convolutions and linear layers.

  Args:
    module: the network; called with float32 [1, size, size, 3].
    size: pixels of a side.
  """
  total = 0.0

  def count(
    call: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    context: nn.module.InterceptorContext,
  ) -> Any:
    nonlocal total
    output = call(*arguments, **keywords)
    layer = context.module
    if context.method_name == '__call__':
      channels = arguments[0].shape[-1]
      if isinstance(layer, nn.Conv):
        kernel = math.prod(layer.kernel_size)  # type: ignore[arg-type]
        inputs = kernel * channels / layer.feature_group_count
        total += 2.0 * output.size * inputs
      elif isinstance(layer, nn.Dense):
        total += 2.0 * output.size * channels
    return output

  with nn.intercept_methods(count):
    jax.eval_shape(
      module.init, jax.random.key(0), jnp.zeros((1, size, size, 3))
    )
  return total


def _write(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
  """Writes pictures that are as hard to decode as photographs."""
  rng = np.random.default_rng(0)
  paths = []
  for i in range(count):
    coarse = Image.fromarray(rng.integers(0, 256, (12, 10, 3), np.uint8))
    smooth = np.asarray(coarse.resize(_SIDES, Image.Resampling.BICUBIC))
    noise = rng.integers(-12, 13, smooth.shape, np.int16)
    pixels = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    paths.append(folder / f'{i}.jpg')
    Image.fromarray(pixels).save(paths[-1], quality=85)
  return paths
