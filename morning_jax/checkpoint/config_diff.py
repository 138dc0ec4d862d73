"""What of a configuration may change when a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.traverse_util

# What a resumed run may change: where it runs, how long, what it looks at.
_FREE_FIELDS = (
  'mesh.',
  'loss.sharding',
  'evaluation.',
  'checkpoint.',
  'train.epochs',
  'data.bundle',
  'data.data_dir',
  'data.placement',
  'data.stream',
)


def differences(
  stored: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[str]:
  """Lists the fields in which a run may not differ from its checkpoint."""
  have = flax.traverse_util.flatten_dict(dict(stored), sep='.')
  want = flax.traverse_util.flatten_dict(dict(wanted), sep='.')
  return [
    f'config.{field} is {have.get(field)!r} in the checkpoint,'
    f' {want.get(field)!r} now'
    for field in sorted(have | want)
    if have.get(field) != want.get(field) and not field.startswith(_FREE_FIELDS)
  ]
