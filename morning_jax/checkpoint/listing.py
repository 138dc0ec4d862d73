"""What is in a folder of checkpoints, the same for all processes.

Every function is called by all processes, and returns what the first finds.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re

from morning_jax.checkpoint import failures
from morning_jax.checkpoint import meta_file
from morning_jax.core import multihost

_STEP = re.compile('0|[1-9][0-9]*')
_ASIDE = 'corrupt-'
_ASIDE_NAME = re.compile(f'{_ASIDE}([0-9]+)(?:-[0-9]+)?')


@dataclasses.dataclass(frozen=True)
class Survey:
  """What the metadata of all checkpoints says.

  Attributes:
    metrics: step -> metric, None where unknown; all steps are there.
    corrupt: step -> what is wrong with its metadata.
    unreadable: step -> the message of one whose metadata can't be read, damaged
      or not.
  """

  metrics: dict[int, float | None]
  corrupt: dict[int, str]
  unreadable: dict[int, str]


def _names(folder: pathlib.Path) -> list[str]:
  looks = multihost.is_first() and folder.is_dir()
  names = os.listdir(folder) if looks else []
  return json.loads(multihost.text_of_first(json.dumps(sorted(names))))


def steps(folder: pathlib.Path) -> list[int]:
  """Lists the steps that have a checkpoint, ascending."""
  return sorted(int(x) for x in _names(folder) if _STEP.fullmatch(x))


def set_aside(folder: pathlib.Path) -> dict[str, int]:
  """Lists what was set aside as damaged: name -> step, the newest step last."""
  found = {
    name: int(match[1])
    for name in _names(folder)
    if (match := _ASIDE_NAME.fullmatch(name))
  }
  return dict(sorted(found.items(), key=lambda x: (x[1], x[0])))


def name_aside(folder: pathlib.Path, step: int) -> pathlib.Path:
  """Returns a path that is free, for a damaged checkpoint."""
  path, count = folder / f'{_ASIDE}{step}', 1
  while path.exists():
    count += 1
    path = folder / f'{_ASIDE}{step}-{count}'
  return path


def survey(folder: pathlib.Path, metric: str) -> Survey:
  """Reads the metadata of all checkpoints.

  Args:
    folder: the folder of the checkpoints.
    metric: the metric to read.
  """
  found = Survey({}, {}, {})
  for step in steps(folder):
    found.metrics[step] = None
    if not multihost.is_first():
      continue
    try:
      whole = meta_file.read(folder / str(step))
    except failures.CorruptError as e:
      found.corrupt[step] = str(e)
    except failures.CheckpointError as e:
      found.unreadable[step] = str(e)
    except (OSError, MemoryError) as e:
      what = failures.short(e)
      if failures.says_nothing_of_content(e):
        name = failures.name(folder / str(step))
        found.unreadable[step] = str(failures.could_not_be_read(name, what))
      else:
        found.corrupt[step] = what
    else:
      found.metrics[step] = meta_file.metric(whole, metric)
  parts = [[*part.items()] for part in dataclasses.astuple(found)]
  text = multihost.text_of_first(json.dumps(parts))
  return Survey(*(dict(part) for part in json.loads(text)))
