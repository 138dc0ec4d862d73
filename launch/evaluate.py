r"""Evaluates the best checkpoint of a working folder.

Examples:
  python -m launch.evaluate --workdir=runs/mine
  python -m launch.evaluate --workdir=runs/mine --bundle=another_bundle \
    --split=test --json=metrics.json --scores=scores.npz
"""

from __future__ import annotations

from absl import flags
import numpy as np

from launch import command_line
from launch import distributed
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.evaluation import evaluate
from morning_jax.evaluation import tables
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import confidence
from morning_jax.recommend import faithfulness
from morning_jax.reporting import console

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'The folder that launch.train printed.', required=True
)
_BUNDLE = flags.DEFINE_string(
  'bundle',
  None,
  'Evaluate on this bundle instead of the data trained on.',
)
_SPLIT = flags.DEFINE_list(
  'split',
  None,
  'Splits to evaluate: train, valid, test; test if unset, or what there is.',
)
_JSON = flags.DEFINE_string('json', None, 'Write the metrics to this file.')
_SCORES = flags.DEFINE_string(
  'scores',
  None,
  'Write all scores of the split to this .npz file: brand_ids,'
  ' influencer_ids, scores and each perspective.',
)
_FAITHFULNESS = flags.DEFINE_bool(
  'faithfulness',
  False,
  'Measure whether recommendations tell the truth, too: what reasons cost when'
  ' they are removed together, and how often the bands of the validation brands'
  ' come true on this split (docs/recommend.md).',
)


def _say_faithfulness(split_names: list[str]) -> None:
  catalogue = catalogue_lib.open_catalogue(_WORKDIR.value, _BUNDLE.value)
  splits = catalogue.dataset.accounts.splits[catalogue.brands.account_row_N]
  rows = [
    row
    for row in np.flatnonzero(np.isin(splits, split_names)).tolist()
    if row in catalogue.partners
  ]
  console.say()
  console.say(faithfulness.table(faithfulness.measure(catalogue, rows)))
  for name in split_names:
    if name != 'valid' and (table := confidence.table(catalogue, name)):
      console.say()
      console.say(table)


def main(argv: list[str]) -> None:
  """Runs the job that the flags name."""
  del argv
  distributed.join()
  with multihost.raise_together():
    if multihost.is_first():  # which writes
      command_line.check_output_files(json=_JSON.value, scores=_SCORES.value)
  results = evaluate.evaluate(
    _WORKDIR.value,
    bundle=_BUNDLE.value,
    wanted_splits=None if _SPLIT.value is None else tuple(_SPLIT.value),
    scores_file=_SCORES.value,
  )
  console.say(tables.of_splits(results))
  if _FAITHFULNESS.value:
    _say_faithfulness(list(results))
  if _JSON.value and multihost.is_first():
    files.write_json(_JSON.value, results)


if __name__ == '__main__':
  command_line.run(main)
