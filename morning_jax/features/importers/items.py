"""What importers find: profiles and posts, whoever saved them."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import lzma
import pathlib
import re
from typing import Any

from morning_jax.core import errors
from morning_jax.core import user_files

_LARGEST = 1 << 28  # bytes of a JSON file, unpacked
# A name ends in no full stop, which ends the sentence.
_MENTION = re.compile(
  r'(?<![\w.@])@([A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?)'
)
_PICTURES = ('.jpg', '.jpeg', '.webp', '.png', '.heic', '.avif')


class SourceError(errors.UserError):
  """Something that can't be imported; one line names the file."""


@dataclasses.dataclass(frozen=True)
class Profile:
  """Who somebody is.

  Attributes:
    name: the account's.
    biography: '' where it is unknown.
    followers: how many; -1 where that is unknown.
    category: of a business; '' where it is unknown.
  """

  name: str
  biography: str = ''
  followers: int = -1
  category: str = ''


@dataclasses.dataclass(frozen=True)
class Post:
  """A post with its pictures.

  Attributes:
    account: who posted it.
    post_id: its name.
    timestamp: as the source has it.
    caption: '' where there is none.
    pictures: files, in their order.
    missing: pictures that the source names and of which there is no file.
    sponsors: who paid for it.
    tagged: who is tagged or mentioned.
    pinned: whether it is shown first whatever its age.
  """

  account: str
  post_id: str
  timestamp: Any
  caption: str = ''
  pictures: tuple[pathlib.Path, ...] = ()
  missing: int = 0
  sponsors: tuple[str, ...] = ()
  tagged: tuple[str, ...] = ()
  pinned: bool = False


def read_json(path: pathlib.Path) -> Any:
  """Reads a JSON file, packed by xz or not.

  Raises:
    SourceError: it can't be read, or is no JSON.
  """
  with user_files.open_file(path, error=SourceError) as f:
    try:
      if path.suffix == '.xz':
        with lzma.open(f) as unpacked:
          content = unpacked.read(_LARGEST + 1)
      else:
        content = f.read(_LARGEST + 1)
      if len(content) > _LARGEST:
        raise ValueError(f'more than {_LARGEST >> 20} MiB')
      return json.loads(content)
    except (OSError, EOFError, lzma.LZMAError, ValueError, RecursionError) as e:
      raise SourceError(
        errors.in_file(path, f'is no JSON ({errors.quoted(e)})')
      ) from None


def read_records(path: pathlib.Path) -> list[Any]:
  """Reads a JSON file of an object or a list of them, or one object a line."""
  if path.suffix not in ('.jsonl', '.ndjson'):
    value = read_json(path)
    return value if isinstance(value, list) else [value]
  found = []
  for row, line in user_files.text_lines(path, error=SourceError):
    if line.strip():
      try:
        found.append(json.loads(line))
      except (ValueError, RecursionError) as e:
        raise SourceError(
          errors.in_file(path, f'is no JSON ({errors.quoted(e)})', row=row)
        ) from None
  return found


def json_files(source: pathlib.Path) -> list[pathlib.Path]:
  """Returns a source's JSON files: itself, or those in a folder.

  Raises:
    SourceError: there are none.
  """
  if source.is_file():
    return [source]
  kinds = ('.json', '.jsonl', '.ndjson')
  found = sorted(p for p in source.rglob('*') if p.suffix in kinds)
  if not found:
    raise SourceError(errors.in_file(source, 'has no JSON file'))
  return found


def at(value: Any, *way: str | int) -> Any:
  """Follows keys and places into JSON values; None where there is no way."""
  for step in way:
    if isinstance(step, str):
      value = value.get(step) if isinstance(value, Mapping) else None
    elif isinstance(value, list) and -len(value) <= step < len(value):
      value = value[step]
    else:
      return None
  return value


def nodes(value: Any, *way: str) -> list[Any]:
  """Returns the nodes of a GraphQL edge, `{"edges": [{"node": ...}]}`."""
  edges = at(value, *way, 'edges')
  return [at(e, 'node') for e in edges] if isinstance(edges, list) else []


def text(value: Any) -> str:
  """Returns a text; '' for anything else."""
  return value if isinstance(value, str) else ''


def texts(values: Any) -> tuple[str, ...]:
  """Returns the texts of a list, each once."""
  if not isinstance(values, list):
    return ()
  return tuple(dict.fromkeys(v for v in values if isinstance(v, str) and v))


def mentions(caption: str) -> tuple[str, ...]:
  """Returns whom a caption mentions, lower case, without punctuation."""
  return tuple(dict.fromkeys(m.lower() for m in _MENTION.findall(caption)))


def number(*values: Any) -> int:
  """Returns the first whole number from 0 on; -1 without any."""
  for value in values:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
      return value
  return -1


def pictures_of(folder: pathlib.Path, base: str) -> list[pathlib.Path]:
  """Returns the pictures `BASE.jpg`, `BASE_1.jpg`, ... of a folder, in order.

  Links are none, so that nothing from elsewhere comes along.
  """
  found = []
  for path in folder.glob(f'{_escaped(base)}*'):
    rest = path.stem.removeprefix(base)
    if path.suffix.lower() not in _PICTURES or path.is_symlink():
      continue
    if not rest:
      found.append((0, path.name, path))
    elif rest[0] == '_' and rest[1:].isascii() and rest[1:].isdigit():
      found.append((int(rest[1:]), path.name, path))
  return [path for *_, path in sorted(found)]


def _escaped(base: str) -> str:
  return re.sub(r'([*?[])', r'[\1]', base)
