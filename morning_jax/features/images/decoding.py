"""Pictures as files -> pixels of one size, or the reason why there are none.

Pillow decodes. A JPEG is decoded at the smallest of its scales that is at least
twice as large as needed, a picture is turned as its EXIF orientation says, 16
bits are scaled to 8, and what is transparent lies on white. A file that claims
to have more pixels than are decoded is refused before any of them is.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from concurrent import futures
import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import warnings

import numpy as np
from PIL import Image

from morning_jax.core import errors
from morning_jax.core import user_files

# No format that runs a program (EPS) or reads other files is among them.
FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'AVIF')
MAX_PIXELS = 89_478_485  # where Pillow begins to warn of a bomb
_WORST_ASPECT = 100  # long side to short side
_DRAFT_FACTOR = 2  # a JPEG's scale is at least this much larger than needed
_HASH_SIDE = 8


@dataclasses.dataclass(frozen=True)
class View:
  """How a network sees a picture of any size.

  Attributes:
    size: pixels of a side of what the network takes.
    resize: pixels of the short side after resizing, at least `size`; the middle
      `size` x `size` pixels are taken then.
    squash: whether both sides are resized to `resize`, whatever the aspect,
      instead of the short one alone.
    bicubic: whether the filter is bicubic instead of bilinear.
  """

  size: int
  resize: int
  squash: bool = False
  bicubic: bool = False

  def __post_init__(self) -> None:
    if not 1 <= self.size <= self.resize:
      raise ValueError(f'{self.size} of {self.resize} pixels')


@dataclasses.dataclass(frozen=True)
class Decoded:
  """A picture that could be read.

  Attributes:
    pixels: uint8 [V, S, S, 3], one for each view, RGB.
    hash: the 64-bit difference hash of the whole picture.
    thumbnail: uint8 [8, 9, 3], mean colours of the whole picture, of which the
      hash is made.
  """

  pixels: np.ndarray
  hash: int
  thumbnail: np.ndarray


@dataclasses.dataclass(frozen=True)
class Failed:
  """A picture that could not be read.

  Attributes:
    reason: why, in a few words of one line.
  """

  reason: str


class _Unreadable(errors.UserError):
  """Why a picture can't be read."""


def decode(
  path: str | os.PathLike[str], views: Iterable[View]
) -> Decoded | Failed:
  """Reads a picture; never raises for what is in the file.

  Args:
    path: the file.
    views: what to make of it; all of one `size`.

  Returns:
    The pixels, or why there are none.
  """
  try:
    with (
      user_files.open_file(path, error=_Unreadable) as f,
      Image.open(f, formats=_formats()) as image,
    ):
      return _decoded(image, tuple(views))
  except _Unreadable as e:
    # Without the path, which stands beside the reason.
    return Failed(str(e).removeprefix(f'{os.fspath(path)}: '))
  except Image.UnidentifiedImageError:
    empty = not pathlib.Path(path).stat().st_size
    return Failed('is empty' if empty else 'is no picture that can be read')
  except Image.DecompressionBombError:
    return Failed(f'has more than {MAX_PIXELS:,} pixels')
  except MemoryError:
    return Failed('needs more memory than there is')
  except Exception as e:
    # Broken files raise many types, of every decoder another.
    return Failed(f'is broken ({errors.quoted(e, limit=60)})')


def decode_all(
  paths: Iterable[str | os.PathLike[str]],
  views: Iterable[View],
  *,
  threads: int | None = None,
) -> Iterator[Decoded | Failed]:
  """Reads pictures in threads; Pillow lets them run side by side.

  Args:
    paths: the files; read as fast as results are taken, a few ahead.
    views: what to make of each.
    threads: how many; None takes one for each processor that may be used.

  Yields:
    `decode`'s answers, in the order of `paths`.
  """
  views = tuple(views)
  threads = threads or len(os.sched_getaffinity(0))
  rest = iter(paths)
  with _no_warnings(), futures.ThreadPoolExecutor(threads) as pool:
    ahead = collections.deque(
      pool.submit(decode, path, views)
      for path in itertools.islice(rest, 4 * threads)
    )
    try:
      while ahead:
        yield ahead.popleft().result()
        for path in itertools.islice(rest, 1):
          ahead.append(pool.submit(decode, path, views))
    finally:
      for one in ahead:
        one.cancel()


@functools.cache
def _formats() -> tuple[str, ...]:
  """Returns those of `FORMATS` that this Pillow was built with."""
  Image.init()
  return tuple(name for name in FORMATS if name in Image.OPEN)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
  """Keeps Pillow silent about files that are refused, or odd in their tags."""
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', module=r'PIL\..*')
    yield


def _decoded(image: Image.Image, views: tuple[View, ...]) -> Decoded:
  width, height = image.size
  if width * height > MAX_PIXELS:
    raise _Unreadable(f'has more than {MAX_PIXELS:,} pixels')
  if max(width, height) > _WORST_ASPECT * min(width, height):
    raise _Unreadable(f'is {width} x {height}: too narrow to show anything')
  side = _DRAFT_FACTOR * max(view.resize for view in views)
  image.draft('RGB', (side, side))
  orientation = _orientation(image)
  image.load()
  image = _upright(_rgb(image), orientation)
  thumbnail = np.asarray(
    image.resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
  )
  return Decoded(
    pixels=np.stack([_view(image, view) for view in views]),
    hash=difference_hash(thumbnail),
    thumbnail=thumbnail,
  )


def difference_hash(thumbnail: np.ndarray) -> int:
  """Returns 64 bits: where a picture gets brighter from left to right.

  Args:
    thumbnail: uint8 [8, 9, 3].
  """
  grey = np.asarray(Image.fromarray(thumbnail).convert('L')).astype(np.int32)
  bits = grey[:, 1:] > grey[:, :-1]
  return int.from_bytes(np.packbits(bits).tobytes(), 'big')


def _orientation(image: Image.Image) -> int:
  """Returns the EXIF orientation; 1, upright, where it can't be told."""
  try:
    return int(image.getexif().get(0x0112, 1))
  except Exception:
    return 1  # a picture with broken tags is a picture still


def _upright(image: Image.Image, orientation: int) -> Image.Image:
  turn = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
  }.get(orientation)
  return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
  """Returns 8-bit RGB."""
  if image.mode.startswith('I'):
    # Pillow's own conversion clips 16 bits to white.
    grey = np.asarray(image).astype(np.int64)
    if grey.min() < 0 or grey.max() > 65_535:
      raise _Unreadable('has grey values of more than 16 bits')
    return Image.fromarray(np.round(grey / 257).astype(np.uint8)).convert('RGB')
  if image.mode == 'F':
    raise _Unreadable('has grey values that are no whole numbers')
  if image.has_transparency_data:
    clear = image.convert('RGBA')
    white = Image.new('RGBA', clear.size, 'white')
    return Image.alpha_composite(white, clear).convert('RGB')
  return image.convert('RGB')


def _view(image: Image.Image, view: View) -> np.ndarray:
  """Resizes and takes the middle in one go, as if it were two steps."""
  short = min(image.size)
  box = []
  for side in image.size:
    length = view.resize if view.squash else view.resize * side // short
    start = round((length - view.size) / 2)
    scale = side / length
    box.append((start * scale, min((start + view.size) * scale, side)))
  (left, right), (top, bottom) = box
  method = (
    Image.Resampling.BICUBIC if view.bicubic else (Image.Resampling.BILINEAR)
  )
  return np.asarray(
    image.resize((view.size, view.size), method, box=(left, top, right, bottom))
  )
