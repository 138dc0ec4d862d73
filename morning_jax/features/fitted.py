"""What a preparation learned, stored for accounts that come later.

A folder with a topic model for each text, the words of the attributes, and
`fitted.json`: a version, the choices that features depend on, and the digests
of the other files.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import json
import pathlib
import shutil
from typing import BinaryIO

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import user_files
from morning_jax.features import options as options_lib
from morning_jax.features.attributes import fitted as attributes_lib
from morning_jax.features.images import options as image_options
from morning_jax.features.text import options as text_options

FOLDER = 'fitted'  # in a bundle
VERSION = 1
_FILE = 'fitted.json'
_ATTRIBUTES = 'attributes'
_LARGEST = 1 << 20  # bytes of the JSON


class FittedError(errors.UserError):
  """A folder of what was learned that can't be used; one line says why."""


@dataclasses.dataclass(frozen=True)
class Fitted:
  """What a preparation learned.

  Attributes:
    posts: which posts count.
    text: how captions and biographies become words.
    images: how pictures become features; None where they were left out.
    image_digest: of everything that an encoder's vectors depend on; '' without.
    topics: 'content' or 'audience' -> folder of the topic model; what had no
      captions is absent.
    attributes: the words of the attributes; None where there are none.
  """

  posts: options_lib.PostOptions
  text: text_options.TextOptions
  images: image_options.ImageOptions | None
  image_digest: str
  topics: Mapping[str, pathlib.Path]
  attributes: attributes_lib.AttributeWords | None


def save(fitted: Fitted, folder: pathlib.Path) -> None:
  """Writes what was learned into a new folder.

  Args:
    fitted: what was learned.
    folder: to be made.
  """
  folder.mkdir()
  for perspective, source in fitted.topics.items():
    place = folder / f'{perspective}_topics'
    place.mkdir()
    for path in sorted(source.iterdir()):
      write = functools.partial(_copy, path)
      files.write_whole(place / path.name, write)
  if fitted.attributes is not None:
    (folder / _ATTRIBUTES).mkdir()
    fitted.attributes.save(folder / _ATTRIBUTES)
  images = fitted.images and dataclasses.asdict(fitted.images)
  if images:
    images.update(weights=None, download=False, threads=None)
  files.write_json(
    folder / _FILE,
    {
      'version': VERSION,
      'posts': dataclasses.asdict(fitted.posts),
      'text': dataclasses.asdict(fitted.text),
      'images': images,
      'image_digest': fitted.image_digest,
      'topics': sorted(fitted.topics),
      'attributes': fitted.attributes is not None,
      'files': _digests(folder),
    },
  )


def _copy(source: pathlib.Path, file: BinaryIO) -> None:
  with source.open('rb') as f:
    shutil.copyfileobj(f, file)


def _digests(folder: pathlib.Path) -> dict[str, str]:
  return {
    str(path.relative_to(folder)): files.digest(path)
    for path in sorted(folder.rglob('*'))
    if path.is_file() and path != folder / _FILE
  }


def load(path: pathlib.Path) -> Fitted:
  """Reads what an earlier preparation learned.

  Args:
    path: its bundle, or the folder `fitted` of it.

  Raises:
    UserError: it is no such folder, one of another version, or damaged.
  """
  folder = path if (path / _FILE).is_file() else path / FOLDER
  if not (folder / _FILE).is_file():
    raise FittedError(
      errors.in_file(
        path, 'is no bundle that launch.prepare wrote: it has no fitted.json'
      )
    )
  with user_files.open_file(folder / _FILE, error=FittedError) as f:
    text = f.read(_LARGEST)
  try:
    stored = json.loads(text)
    version = stored['version']
    if version != VERSION:
      raise FittedError(
        errors.in_file(
          folder,
          f'was written by another version of the program (format'
          f' {errors.quoted(version, limit=20)}, this one reads {VERSION});'
          ' prepare the training data again',
        )
      )
    found = Fitted(
      posts=options_lib.PostOptions(**stored['posts']),
      text=text_options.TextOptions(**stored['text']),
      images=(
        image_options.ImageOptions(**stored['images'])
        if stored['images']
        else None
      ),
      image_digest=str(stored['image_digest']),
      topics={p: folder / f'{p}_topics' for p in stored['topics']},
      attributes=(
        attributes_lib.load(folder / _ATTRIBUTES)
        if stored['attributes']
        else None
      ),
    )
    digests = dict(stored['files'])
  except errors.UserError:
    raise
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
    raise FittedError(
      errors.in_file(folder / _FILE, 'is not what launch.prepare writes')
    ) from None
  if digests != _digests(folder):
    raise FittedError(
      errors.in_file(folder, 'is damaged: a file is not what was written')
    )
  return found
