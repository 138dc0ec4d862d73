"""Pictures of the embedded world, and the encoder that needs no weights.

A picture of a world without data is a mosaic of 8 x 8 tiles. The four rows on
top show objects and the four below scenes, one class a tile. Every class has
a colour of its own, a point of the smallest cube of colours that has room for
all: `colours`. The encoder compares the mean colour of a tile's inner quarter
with all colours; a class's probability is the mean, over the 32 tiles, of a
softmax of how near its colour is. A class on n of the 32 tiles has, noise
apart, a probability of n/32.

Neighbouring colours of 1,000 classes differ by 25 levels of 255 in one channel,
and those of 60 by 74. JPEG files keep the classes apart from a quality of 85 on
where colours are not subsampled (`subsampling=0`).
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.features.images import decoding
from morning_jax.features.images import encoder as encoder_lib
from morning_jax.features.images import options as options_lib

NAME = 'pattern'
TILES = 8  # a side
TILE = 8  # pixels of a tile's side
SIZE = TILES * TILE  # pixels of a picture's side
PER_GROUP = TILES * TILES // 2  # tiles that show objects, or scenes
_DARKEST, _BRIGHTEST = 16.0, 240.0
_SHARPNESS = 6.0  # nearest colours have exp(-_SHARPNESS ** 2 / 2) of a match


@dataclasses.dataclass(frozen=True)
class Pattern:
  """How many classes pictures of a world can show.

  Attributes:
    objects: classes of objects, at least 2.
    scenes: classes of scenes, at least 2.
  """

  objects: int = 1000
  scenes: int = 365

  def __post_init__(self) -> None:
    if not (2 <= self.objects <= 8000 and 2 <= self.scenes <= 8000):
      raise errors.UserError(
        f'{NAME}:{self.objects},{self.scenes}: from 2 to 8000 objects and'
        ' scenes can be told apart'
      )

  @property
  def spec(self) -> str:
    """What `ImageOptions.encoder` has to say: `pattern:60,24`."""
    return f'{NAME}:{self.objects},{self.scenes}'


@functools.cache
def colours(classes: int) -> np.ndarray:
  """Returns the colours of classes.

  Args:
    classes: how many, at least 2.

  Returns:
    float32 [classes, 3], RGB, from 16 to 240.
  """
  levels = _levels(classes)
  # In even steps through the cube, whose last places stay free.
  place = np.arange(classes) * levels**3 // classes
  index = np.stack(
    [place // levels**2, place // levels % levels, place % levels]
  )
  step = (_BRIGHTEST - _DARKEST) / (levels - 1)
  return (_DARKEST + step * index.T).astype(np.float32)


def draw(
  pattern: Pattern,
  objects: Sequence[int] | np.ndarray,
  scenes: Sequence[int] | np.ndarray,
  rng: np.random.Generator,
  *,
  noise: float = 0.0,
) -> np.ndarray:
  """Draws a picture.

  Args:
    pattern: how many classes there are.
    objects: classes of objects, from 1 to 32 of them; each gets as many tiles
      as any other, as far as 32 can be shared. A class may be named repeatedly.
    scenes: classes of scenes, likewise.
    rng: what decides which tile shows which.
    noise: standard deviation of what is added to every number of every pixel,
      in levels of 255.

  Returns:
    uint8 [64, 64, 3], RGB.

  Raises:
    ValueError: there is no such class, or a number of them that can't be shown.
  """
  halves = []
  for shown, classes in ((objects, pattern.objects), (scenes, pattern.scenes)):
    shown = np.asarray(shown, np.int64)
    if not 1 <= len(shown) <= PER_GROUP:
      raise ValueError(f'{len(shown)} classes on {PER_GROUP} tiles')
    if shown.min() < 0 or shown.max() >= classes:
      raise ValueError(f'a class beyond 0 to {classes - 1}')
    tiles = rng.permutation(np.resize(shown, PER_GROUP))
    halves.append(colours(classes)[tiles])
  mosaic = np.concatenate(halves).reshape(TILES, TILES, 3)
  pixels = mosaic.repeat(TILE, axis=0).repeat(TILE, axis=1)
  if noise:
    pixels = pixels + rng.normal(0.0, noise, pixels.shape)
  return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def build(
  options: options_lib.ImageOptions, argument: str | None
) -> encoder_lib.ImageEncoder:
  """Returns the encoder of the embedded world's pictures.

  Args:
    options: nothing of them matters.
    argument: `OBJECTS,SCENES`, the numbers of classes; None: 1000 and 365.

  Raises:
    UserError: the argument is something else.
  """
  del options
  pattern = Pattern()
  if argument is not None:
    try:
      objects, scenes = map(int, argument.split(','))
    except ValueError:
      raise errors.UserError(
        f'{NAME}:{errors.quoted(argument)}: say the numbers of object and scene'
        f' classes, as in {NAME}:60,24'
      ) from None
    pattern = Pattern(objects, scenes)
  groups = tuple(
    encoder_lib.Group(name, tuple(f'{name} {i}' for i in range(count)))
    for name, count in (('object', pattern.objects), ('scene', pattern.scenes))
  )
  return encoder_lib.ImageEncoder(
    name=pattern.spec,
    groups=groups,
    views=(decoding.View(size=SIZE, resize=SIZE, squash=True),),
    params=(),
    apply=functools.partial(_encode, pattern),
    digest=files.digest(NAME, 1, [pattern.objects, pattern.scenes]),
  )


def _levels(classes: int) -> int:
  """Returns how many levels a channel needs; at least 2."""
  return next(n for n in range(2, classes + 2) if n**3 >= classes)


def _encode(
  pattern: Pattern, params: tuple[()], pixels: accounts_lib.Array
) -> jax.Array:
  del params
  batch = pixels.shape[0]
  tiles = pixels[:, 0].reshape(batch, TILES, TILE, TILES, TILE, 3)
  quarter = slice(TILE // 4, TILE - TILE // 4)
  inner = tiles[:, :, quarter, :, quarter].astype(jnp.float32)
  mean = inner.mean(axis=(2, 4)).reshape(batch, 2, PER_GROUP, 3)
  groups = []
  for half, classes in enumerate((pattern.objects, pattern.scenes)):
    width = (_BRIGHTEST - _DARKEST) / (_levels(classes) - 1) / _SHARPNESS
    # Channel by channel: each a fused pass over [B, tiles, classes].
    distance = sum(
      jnp.square(mean[:, half, :, channel, None] - colours(classes)[:, channel])
      for channel in range(3)
    )
    match = jax.nn.softmax(-distance / (2 * width**2))
    groups.append(match.mean(axis=1))
  return jnp.concatenate(groups, axis=1)
