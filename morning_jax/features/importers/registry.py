"""The importers: what reads profiles and posts that another program saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import pathlib

from morning_jax.core import errors
from morning_jax.features.importers import apify
from morning_jax.features.importers import graph_api
from morning_jax.features.importers import instaloader
from morning_jax.features.importers import items

Reader = Callable[
  [pathlib.Path, pathlib.Path | None], Iterator[items.Profile | items.Post]
]
# By what `launch.prepare --import` may say.
IMPORTERS: dict[str, Reader] = {
  'instaloader': instaloader.read,
  'apify': apify.read,
  'graph_api': graph_api.read,
}


def register(name: str, read: Reader) -> None:
  """Adds an importer to the table.

  Args:
    name: what `launch.prepare --import` calls it.
    read: (what was saved, folder of pictures or None) -> profiles and posts.

  Raises:
    ValueError: the name is taken.
  """
  if name in IMPORTERS:
    raise ValueError(f'there is an importer {name!r} already')
  IMPORTERS[name] = read


def reader(name: str) -> Reader:
  """Returns the importer of a name.

  Raises:
    UserError: there is none.
  """
  if name not in IMPORTERS:
    raise errors.UserError(
      f'--import={errors.quoted(name)}: no such importer; there are'
      f' {", ".join(sorted(IMPORTERS))}'
    )
  return IMPORTERS[name]
