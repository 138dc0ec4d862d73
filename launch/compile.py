r"""Compiles a step of a job for TPUs or GPUs that are not attached.

Examples:
  python -m launch.compile --topology=v5e:4x4
  python -m launch.compile --topology=v5e:16x16 \
    --config=configs/morning.py:pod --influencers=10000000
  python -m launch.compile --topology=v5p:2x2x2 \
    --sweep=batch_size:256,1024,4096
  python -m launch.compile --topology=v5e:4x4 --job=ranking \
    --influencers=1000000 --json=figures.json
  python -m launch.compile --topology=h100:8 --config=configs/morning.py:pod

Needs the compiler, `pip install 'morning_jax[tpu]'` or `[gpu]`, and no data:
the flags say how large it would be, and which features it would have. Exit code
1 if a step does not fit into a device's memory.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import flags
import jax
import ml_collections

from launch import command_line
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.reporting import console
from morning_jax.training import config_check
from morning_jax.training.aot import compile as compile_lib
from morning_jax.training.aot import figures
from morning_jax.training.aot import input_shapes
from morning_jax.training.aot import lowering
from morning_jax.training.aot import report as report_lib
from morning_jax.training.aot import topology as topology_lib

_DEFAULT = input_shapes.Sizes()
_CONFIG = command_line.define_config()
_TOPOLOGY = flags.DEFINE_string(
  'topology',
  None,
  'Chip and shape: v4, v5e, v5p or v6e; or h100 and how many of a host.'
  ' Example: --topology=v5e:4x4',
  required=True,
)
_MOST = 2**31 - 1  # rows are 32-bit integers on devices
_SIZES = {
  name: flags.DEFINE_integer(
    name,
    getattr(_DEFAULT, name),
    f'{text} Example: --{name}={getattr(_DEFAULT, name)}',
    lower_bound=1,
    upper_bound=_MOST,
  )
  for name, text in {
    'brands': 'Training brands.',
    'influencers': 'Training influencers.',
    'positives': 'Training pairs.',
    'longest_list': 'Positives of the brand that has most.',
    'edges': 'Edges of the attribute graph, each counted once.',
    'most_attributes': 'Attributes of the account that has most.',
  }.items()
}
_FEATURES = flags.DEFINE_list(
  'features',
  [f'{f}:{n}' for f, n in input_shapes.FEATURE_SIZES.items()],
  'Features and their sizes; of attribute_list, how many attributes there are.'
  ' Example: --features=content_image:2048',
)
_SWEEP = flags.DEFINE_string(
  'sweep',
  None,
  f'A size and its values: batch_size, {", ".join(_SIZES)}.'
  ' Example: --sweep=batch_size:256,1024,4096',
)

_JOB = flags.DEFINE_enum(
  'job',
  'train',
  lowering.JOBS,
  'What is compiled: a step of training, the encoding of'
  ' --config.evaluation.batch_size influencers, or the search for the best'
  f' {lowering.K} influencers of {lowering.BRANDS} brands.',
)
_JSON = flags.DEFINE_string(
  'json',
  None,
  'Write the figures to this file, one object a size. Example:'
  ' --json=figures.json',
)


def _is_size(text: str) -> bool:
  # Python refuses to read numbers of thousands of digits.
  return text.isdecimal() and len(text) < 20 and 1 <= int(text) <= _MOST


def _features() -> dict[str, int]:
  features = {}
  for item in _FEATURES.value:
    name, _, size = item.partition(':')
    if name not in input_shapes.FEATURE_SIZES or not _is_size(size):
      raise errors.UserError(
        f'--features: {item!r} is no feature:size; features:'
        f' {", ".join(input_shapes.FEATURE_SIZES)}'
      )
    features[name] = int(size)
  return features


def _sweep(text: str) -> tuple[str, list[int]]:
  name, _, values = text.partition(':')
  known = ('batch_size', *_SIZES)
  parts = values.split(',')
  if name not in known or not all(map(_is_size, parts)):
    raise errors.UserError(
      f'--sweep={text}: is not of the form batch_size:256,1024; sizes:'
      f' {", ".join(known)}'
    )
  return name, [int(v) for v in parts]


def _write(reports: list[figures.Report]) -> None:
  if _JSON.value:
    files.write_json(_JSON.value, [r.to_json() for r in reports])


def main(argv: list[str]) -> int:
  """Prints what a step needs; returns 1 where it does not fit."""
  del argv
  topology_lib.prepare(_TOPOLOGY.value)
  command_line.check_output_files(json=_JSON.value)
  jax.config.update('jax_platforms', 'cpu')  # compiles only
  # Programs for devices that are not there can't be read back.
  jax.config.update('jax_enable_compilation_cache', False)
  config = _CONFIG.value
  config_check.check(config)
  sizes = input_shapes.Sizes(
    **{name: flag.value for name, flag in _SIZES.items()}, features=_features()
  )
  if not _SWEEP.value:
    report = compile_lib.compile_step(
      config, sizes, topology=_TOPOLOGY.value, job=_JOB.value
    )
    console.say(report_lib.of_report(report))
    _write([report])
    return 0 if report.fits else 1
  name, values = _sweep(_SWEEP.value)
  reports = []
  for value in values:
    changed_config = ml_collections.ConfigDict(config)
    changed = sizes
    if name == 'batch_size':
      changed_config.train.batch_size = value
      config_check.check(changed_config)
    else:
      one: dict[str, Any] = {name: value}
      changed = dataclasses.replace(sizes, **one)
    reports.append(
      compile_lib.compile_step(
        changed_config, changed, topology=_TOPOLOGY.value, job=_JOB.value
      )
    )
  console.say(report_lib.of_sweep(name, values, reports))
  _write(reports)
  return 0 if all(r.fits for r in reports) else 1


if __name__ == '__main__':
  command_line.run(main)
