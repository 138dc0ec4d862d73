"""Turns the MORNING authors' released feature files into a bundle.

Example:
  pip install 'morning_jax[release]'
  python -m launch.import_release --features=DIR --bundle=my_bundle

`DIR` holds `trainset`, `audience_trainset`, `attribute_trainset_n2v`, the same
for the test, and the spreadsheet of test pairs, `testset_r.xlsx` or `.csv`.
"""

from __future__ import annotations

import pathlib
import shlex

from absl import flags

from launch import command_line
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle
from morning_jax.data.released import features as released_features

_FEATURES = flags.DEFINE_string(
  'features',
  None,
  'Folder with the released arrays: trainset/brand_text_train.npy and so on.'
  ' Example: --features=released',
  required=True,
)
_BUNDLE = flags.DEFINE_string(
  'bundle',
  None,
  'Folder to write; it must not exist yet or be empty.'
  ' Example: --bundle=my_bundle',
  required=True,
)
_TEST_PAIRS = flags.DEFINE_string(
  'test_pairs',
  None,
  'Spreadsheet of the test pairs, .xlsx or .csv; by default testset_r.xlsx or'
  ' .csv in the folder of the features. Example: --test_pairs=testset_r.csv',
)


def _summary(dataset: accounts_lib.Dataset, folder: pathlib.Path) -> str:
  a, pairs = dataset.accounts, dataset.positives_Px2
  split_P = a.splits[pairs[:, 0]]
  lines = [f'{folder}: written']
  for split in accounts_lib.SPLITS:
    brands = int((a.splits == split).sum())
    if brands:
      mine = pairs[split_P == split]
      lines.append(
        f'  {split}: {brands:,} brands, {len(mine):,} positives with'
        f' {len(set(mine[:, 1].tolist())):,} influencers'
      )
  lines.append(
    f'  influencers in all: {len(a.rows_of(accounts_lib.INFLUENCER)):,}'
  )
  sizes = ', '.join(f'{f} {n}' for f, n in dataset.feature_sizes.items())
  lines.append(f'  features: {sizes}')
  lines.extend(f'  note: {note}' for note in dataset.notes)
  lines.append('next:')
  lines.append(
    '  python -m launch.train --config=configs/morning.py'
    f' --config.data.bundle={shlex.quote(str(folder))}'
  )
  return '\n'.join(lines)


def main(argv: list[str]) -> None:
  """Imports the files, writes the bundle and prints what was found."""
  del argv
  folder = pathlib.Path(_BUNDLE.value)
  # Known before the long reading, though `write_bundle` checks it again.
  try:
    bundle.check_new(folder)
  except errors.UserError as e:
    raise errors.UserError(f'--bundle={e}') from None
  dataset = released_features.import_features(
    _FEATURES.value, test_pairs=_TEST_PAIRS.value, progress=True
  )
  try:
    bundle.write_bundle(dataset, folder)
  except OSError as e:
    raise errors.UserError(
      f'--bundle={folder}: could not be written ({e.strerror or e})'
    ) from None
  print(_summary(dataset, folder))


if __name__ == '__main__':
  command_line.run(main)
