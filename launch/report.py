r"""Writes a run as one page to read offline and print, and its cards.

Examples:
  python -m launch.report --workdir=runs/mine --output=report
  python -m launch.report --workdir=runs/mine --output=report \
    --brands=nike,acme --exclude=left_out.txt
  python -m launch.report --workdir=runs/mine --output=report \
    --comparison=runs/comparison --license=apache-2.0

The folder gets report.html (no script, no outside address), model_card.md and
data_card.md.
"""

from __future__ import annotations

from absl import flags

from launch import command_line
from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import lists
from morning_jax.report import contents
from morning_jax.report import page
from morning_jax.reporting import console

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'The folder that launch.train printed.', required=True
)
_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'Report on this bundle instead of the data trained on.'
)
_OUTPUT = flags.DEFINE_string(
  'output', None, 'Folder to write; new or empty.', required=True
)
_BRANDS = flags.DEFINE_list('brands', [], 'Case studies of these brands, too.')
_CASES = flags.DEFINE_integer(
  'cases',
  2,
  'Case studies of so many of the best ranked brands, and of the worst.',
  lower_bound=0,
)
_EXCLUDE = flags.DEFINE_string(
  'exclude', None, 'A file of influencers, one a line, to be left out.'
)

_COMPARISON = flags.DEFINE_string(
  'comparison',
  None,
  'A folder of launch.compare: its methods and ablations are shown, too.'
  ' Example: --comparison=runs/comparison',
)
_LICENSE = flags.DEFINE_string(
  'license',
  contents.UNKNOWN_LICENSE,
  "The model's license, for its card, as Hugging Face names it. Example:"
  ' --license=apache-2.0',
)


def main(argv: list[str]) -> None:
  """Writes the report."""
  del argv
  page.check_new(_OUTPUT.value)
  exclude = lists.read_ids(_EXCLUDE.value) if _EXCLUDE.value else frozenset()
  catalogue = catalogue_lib.open_catalogue(
    _WORKDIR.value,
    _BUNDLE.value,
    asked_of=[(accounts_lib.BRAND, name) for name in _BRANDS.value or ()],
  )
  console.notes(catalogue.notes)
  console.notes(filters_lib.notes_on_exclusions(catalogue, exclude))
  found = contents.gather(
    _WORKDIR.value,
    catalogue,
    brands=_BRANDS.value,
    best=_CASES.value,
    exclude=exclude,
    comparison=_COMPARISON.value,
    license_name=_LICENSE.value,
  )
  page.write(found, _OUTPUT.value)
  console.say(
    f'written to {_OUTPUT.value}: {page.PAGE}, {", ".join(page.CARDS)}'
  )


if __name__ == '__main__':
  command_line.run(main)
