"""The file beside a checkpoint's arrays, with a checksum of its own."""

from __future__ import annotations

from collections.abc import Mapping
import json
import math
import pathlib
from typing import Any

import morning_jax
from morning_jax.checkpoint import failures
from morning_jax.checkpoint import meta as meta_lib
from morning_jax.core import files

ITEM = 'meta'
_FILE = 'metadata'


def content(
  step: int,
  meta: Mapping[str, Any],
  *,
  arrays: Mapping[str, Mapping[str, list]],
  metrics: Mapping[str, float] | None,
) -> dict[str, Any]:
  """Returns what the file of one checkpoint holds, checksum and all.

  Args:
    step: the step after which the state was saved.
    meta: JSON-able: configuration, data fingerprint, progress.
    arrays: item -> what `checksums.describe` says of it.
    metrics: of the validation brands, if they were evaluated.
  """
  whole = {
    **meta,
    'format_version': meta_lib.FORMAT_VERSION,
    'software': morning_jax.__version__,
    'step': step,
    'metrics': None if metrics is None else dict(metrics),
    'arrays': arrays,
  }
  return {'content': whole, 'crc32': files.checksum(whole)}


def read(folder: pathlib.Path) -> dict[str, Any]:
  """Reads the file of a checkpoint.

  Args:
    folder: the checkpoint's; its name is the step.

  Raises:
    OSError: it can't be read.
    CorruptError: it is damaged.
    CheckpointError: another version of the software wrote it.
  """
  path = folder / ITEM / _FILE
  try:
    stored = json.loads(path.read_text(encoding='utf-8'))
    whole = stored['content']
    intact = stored['crc32'] == files.checksum(whole)
  except (ValueError, KeyError, TypeError, RecursionError) as e:
    raise failures.CorruptError(
      f'its metadata is unreadable ({failures.short(e)})'
    ) from e
  if not intact:
    raise failures.CorruptError('its metadata fails its checksum')
  if not isinstance(whole, dict) or 'format_version' not in whole:
    raise failures.CorruptError('its metadata has no format version')
  version = whole['format_version']
  if version != meta_lib.FORMAT_VERSION:
    writer = whole.get('software')
    if writer is None and isinstance(version, int):
      writer = meta_lib.WRITTEN_BY.get(version)
    raise failures.CheckpointError(
      f'{folder}: was written by morning_jax {writer or "?"} (format'
      f' {version}); this is morning_jax {morning_jax.__version__}, which'
      f' reads format {meta_lib.FORMAT_VERSION}; train again, or use that'
      ' version'
    )
  if not _has_form(whole):
    raise failures.CorruptError('its metadata does not describe its arrays')
  if str(whole['step']) != folder.name:
    raise failures.CorruptError(f'its metadata is that of step {whole["step"]}')
  return whole


def _has_form(whole: Mapping[str, Any]) -> bool:
  """Tells whether what restoring relies on is there."""
  arrays, metrics = whole.get('arrays'), whole.get('metrics')
  return (
    isinstance(whole.get('step'), int)
    and 'metrics' in whole
    and isinstance(metrics, dict | None)
    and isinstance(arrays, dict)
    and all(
      isinstance(item, dict)
      and all(isinstance(a, list) and len(a) == 3 for a in item.values())
      for item in arrays.values()
    )
  )


def metric(whole: Mapping[str, Any], name: str) -> float | None:
  """Returns a metric; None where it was not measured, or is no number."""
  value = (whole['metrics'] or {}).get(name)
  if isinstance(value, int | float) and math.isfinite(value):
    return float(value)
  return None
