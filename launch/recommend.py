r"""Recommends influencers to a brand.

Examples:
  python -m launch.recommend --workdir=runs/mine --brand=nike
  python -m launch.recommend --workdir=runs/mine --brand=nike --top_k=50 \
    --followers_from=10000 --category=shoes --format=xlsx --output=nike.xlsx
"""

from __future__ import annotations

import dataclasses
import json

from absl import flags
import tabulate

from launch import command_line
from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import answer
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import recommend
from morning_jax.reporting import console

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'The folder that launch.train printed.', required=True
)
_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'Choose from this bundle instead of the data trained on.'
)
_BRAND = flags.DEFINE_string(
  'brand', None, 'The brand, by its id.', required=True
)
_TOP_K = flags.DEFINE_integer('top_k', 10, 'How many influencers.')


def main(argv: list[str]) -> None:
  """Answers the question that the flags ask."""
  del argv
  catalogue = catalogue_lib.open_catalogue(_WORKDIR.value, _BUNDLE.value)
  console.notes(catalogue.notes)
  brand = catalogue.brand(_BRAND.value or '')
  found = recommend.recommend(
    catalogue, brand, _TOP_K.value, filters_lib.Filters()
  )
  rows = [answer.row_of(catalogue, accounts_lib.INFLUENCER, r) for r in found]
  console.say(
    json.dumps(dataclasses.asdict(answer.source_of(catalogue, brand)))
  )
  console.say(tabulate.tabulate(rows, headers='keys'))


if __name__ == '__main__':
  command_line.run(main)
