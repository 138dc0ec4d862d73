"""What an image encoder is: a function from a batch of pixels to vectors."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import functools
import itertools
from typing import Any

import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import files
from morning_jax.features.images import decoding

Array = accounts_lib.Array


@dataclasses.dataclass(frozen=True)
class Group:
  """Numbers of a vector that belong together.

  Attributes:
    name: what they are: `object`, `scene`, or of an embedding its own.
    classes: the name of each number.
    probabilities: whether the numbers are probabilities of classes, which are
      cut at the threshold and normalised (eq. 4-6), rather than coordinates.
  """

  name: str
  classes: tuple[str, ...]
  probabilities: bool = True

  @property
  def size(self) -> int:
    """How many numbers."""
    return len(self.classes)


@dataclasses.dataclass(frozen=True)
class ImageEncoder:
  """An image encoder with its weights.

  Attributes:
    name: what it is called.
    groups: of the numbers of its vectors, in order.
    views: what it wants to see of a picture; all of one `size`.
    params: a pytree of arrays, its weights; may be empty.
    apply: (params, uint8 [B, V, S, S, 3]) -> float32 [B, D], a function that
      JAX can compile. A picture's vector must not depend on its neighbours.
    digest: of everything that its vectors depend on but the pixels.
  """

  name: str
  groups: tuple[Group, ...]
  views: tuple[decoding.View, ...]
  params: Any
  apply: Callable[[Any, Array], Array]
  digest: str

  @property
  def size(self) -> int:
    """D, how many numbers a vector has."""
    return sum(group.size for group in self.groups)

  @property
  def class_names(self) -> tuple[str, ...]:
    """Names of the D numbers, `group: class`, for `feature_names.csv`."""
    return tuple(f'{g.name}: {c}' for g in self.groups for c in g.classes)

  @functools.cached_property
  def compiled(self) -> Callable[[Any, Array], Array]:
    """`apply`, compiled once for each batch size."""
    return jax.jit(self.apply)

  def encode(self, pixels: np.ndarray) -> np.ndarray:
    """Encodes one batch.

    Args:
      pixels: uint8 [B, V, S, S, 3]; every call should have the same B.

    Returns:
      float32 [B, D].
    """
    return np.asarray(self.compiled(self.params, pixels))

  def encode_all(
    self,
    pixels: Iterable[np.ndarray],
    *,
    batch_size: int,
    devices: Sequence[jax.Device] | None = None,
  ) -> Iterator[np.ndarray]:
    """Encodes any number of pictures, in batches of one size.

    Batches go to devices in turn, each whole, so that neither the number of
    devices nor a picture's neighbours change a bit.

    Args:
      pixels: uint8 [V, S, S, 3] each; read as vectors are taken, some batches
        ahead.
      batch_size: pictures of a batch; the last one is filled up with black.
      devices: that take batches; None: all accelerators of this process, or its
        first processor.

    Yields:
      float32 [D], one for each picture, in order.
    """
    if devices is None:
      devices = jax.local_devices()
      if devices[0].platform == 'cpu':
        devices = devices[:1]
    turns = itertools.cycle([(d, self._params_on(d)) for d in devices])
    under_way: collections.deque[tuple[Array, int]] = collections.deque()
    rest = iter(pixels)
    while True:
      batch = list(itertools.islice(rest, batch_size))
      if batch:
        whole = np.zeros((batch_size, *batch[0].shape), np.uint8)
        whole[: len(batch)] = batch
        device, params = next(turns)
        vectors = self.compiled(params, jax.device_put(whole, device))
        under_way.append((vectors, len(batch)))
      if len(under_way) > len(devices) or not batch:
        if not under_way:
          return
        vectors, count = under_way.popleft()
        yield from np.asarray(vectors)[:count]

  @functools.cached_property
  def _copies(self) -> dict[jax.Device, Any]:
    return {}

  def _params_on(self, device: jax.Device) -> Any:
    """Returns the weights on a device, where they stay."""
    if device not in self._copies:
      self._copies[device] = jax.device_put(self.params, device)
    return self._copies[device]


def join(parts: Sequence[ImageEncoder]) -> ImageEncoder:
  """Makes one encoder of several: their vectors one behind the other.

  Args:
    parts: at least one; views that they share are decoded once.

  Raises:
    ValueError: they want pictures of different sizes, or have groups of one
      name.
  """
  if len(parts) == 1:
    return parts[0]
  views = tuple(dict.fromkeys(v for part in parts for v in part.views))
  if len({view.size for view in views}) > 1:
    raise ValueError(
      'they see pictures of different sizes: '
      + ', '.join(f'{p.name} {p.views[0].size}' for p in parts)
    )
  groups = tuple(group for part in parts for group in part.groups)
  if len({group.name for group in groups}) < len(groups):
    raise ValueError(
      'two of them tell the same: ' + ', '.join(g.name for g in groups)
    )
  seen = [np.array([views.index(v) for v in part.views]) for part in parts]

  def apply(params: Any, pixels: Array) -> Array:
    return jnp.concatenate(
      [
        part.apply(own, pixels[:, which])
        for part, own, which in zip(parts, params, seen, strict=True)
      ],
      axis=1,
    )

  return ImageEncoder(
    name='+'.join(part.name for part in parts),
    groups=groups,
    views=views,
    params=tuple(part.params for part in parts),
    apply=apply,
    digest=files.digest([part.digest for part in parts]),
  )
