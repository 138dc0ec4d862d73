r"""Compares methods on the same folds of a bundle's training brands.

Examples:
  python -m launch.compare --bundle=my_bundle
  python -m launch.compare --bundle=my_bundle --seeds=1 \
    --methods=similarity,morning-paper,morning
  python -m launch.compare --bundle=my_bundle --curves=epochs,brands,categories
  python -m launch.compare --bundle=my_bundle --split=test

It writes tables with 95 % intervals and paired differences from MORNING as
text, CSV, Markdown and LaTeX. Started again on the same --workdir, it goes on
where it stopped. SIGTERM ends it with code 0, Ctrl-C with 130; what is finished
is stored.

Without --bundle it compares on the embedded world, which takes about an hour on
two cores: morning-paper and morning-release take small batches, and their cost
grows with positives and features. --methods leaves them out. The time left
is estimated from the trainings that are finished.
"""

from __future__ import annotations

import datetime

from absl import flags

from configs import morning as recipes
from launch import command_line
from morning_jax.comparison import compare
from morning_jax.data import dataset as dataset_lib
from morning_jax.data.bundle import bundle
from morning_jax.reporting import console
from morning_jax.training import termination

_BUNDLE = flags.DEFINE_string(
  'bundle',
  None,
  'The bundle; the embedded world if unset, about an hour on two cores.'
  ' Example: --bundle=my_bundle',
)
_METHODS = flags.DEFINE_list(
  'methods',
  None,
  'Methods to compare; all that the data allows if unset.'
  ' Example: --methods=similarity,lambdamart,morning',
)
_SPLIT = flags.DEFINE_enum(
  'split',
  'train',
  list(compare.SPLITS),
  'test: rank for the own test brands of the bundle, too, with all training'
  ' brands to train on; their tables stand beside the cross-validation.'
  ' Example: --split=test',
)
_FOLDS = flags.DEFINE_integer(
  'folds',
  5,
  'Folds of a repetition. Example: --folds=10',
)
_SEEDS = flags.DEFINE_integer(
  'seeds',
  3,
  'Repetitions: each splits the brands into other folds and seeds the methods.'
  ' Example: --seeds=1',
)
_COSTLY_SEEDS = flags.DEFINE_integer(
  'costly_seeds',
  1,
  'Repetitions of methods whose training takes long (morning-paper,'
  ' morning-release). Example: --costly_seeds=3',
)
_CURVES = flags.DEFINE_list(
  'curves',
  [],
  'Pictures to draw: epochs, brands (learning curves), categories.'
  ' Example: --curves=epochs,brands,categories',
)
_JOBS = flags.DEFINE_integer(
  'jobs',
  None,
  'Trainings at a time, a single-threaded process each; 0 for none beside this'
  ' one; as many as there are cores if unset. Example: --jobs=2',
)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  None,
  'Where tables, pictures and results go; a new folder under runs/ if unset.'
  ' Example: --workdir=runs/comparison',
)


def main(argv: list[str]) -> None:
  """Runs the job that the flags name."""
  del argv
  now = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  workdir = _WORKDIR.value or f'runs/comparison-{now}'
  go_on = (
    'stopped; what is finished is stored: go on with the same flags and'
    f' --workdir={workdir}'
  )
  try:
    with termination.raised():
      _compare(workdir)
  except termination.Stopped:
    console.say(go_on)
  except KeyboardInterrupt:
    console.say(go_on)
    raise


def _compare(workdir: str) -> None:
  options = compare.Options(
    methods=None if _METHODS.value is None else tuple(_METHODS.value),
    split=_SPLIT.value,
    folds=_FOLDS.value,
    seeds=_SEEDS.value,
    costly_seeds=_COSTLY_SEEDS.value,
    curves=tuple(_CURVES.value),
    jobs=_JOBS.value,
  )
  default = recipes.get_config()
  dataset = (
    bundle.read_bundle(_BUNDLE.value)
    if _BUNDLE.value
    else dataset_lib.load(default.data)
  )
  console.notes(dataset.notes)
  compare.compare(
    dataset,
    {'': default} | {v: recipes.get_config(v) for v in ('paper', 'release')},
    options,
    workdir,
  )


if __name__ == '__main__':
  command_line.run(main)
