r"""Measures this machine's speed, each figure beside the machine's own limit.

Examples:
  python -m launch.benchmark training
  python -m launch.benchmark all --json=figures.json
  python -m launch.benchmark ranking --influencers=200000 --k=10

Benchmarks:
  training      steps of both losses against batch size, beside PyTorch's
  paper         the paper's recipe, 211 steps an epoch
  encoding      accounts encoded per second against batch size
  ranking       exact top-k of a catalogue, beside faiss.IndexFlatIP
  ranking_on_disk  the same of a file that is not in memory, beside the disk
  recommending  the top 10 of every brand, written to a file
  checkpoint    saving and restoring against the number of parameters
  startup       process start to first step, without and with a program cache
  scaling       a step against accounts, pairs and simulated devices
  serving       answers of launch.serve to many requests, and their latency
  prepare       posts to features: captions, topics, pictures, all of it
  all           one after the other

The comparisons need `pip install 'morning_jax[benchmark]'`; without it, the
rest is measured. docs/benchmarks.md says what the limits are.
"""

from __future__ import annotations

import tempfile
from typing import Any

from absl import flags

from launch import command_line
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import registry
from morning_jax.benchmarks import report
from morning_jax.benchmarks import scaling
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.reporting import console

_DEFAULT = harness.Options()
_JSON = flags.DEFINE_string(
  'json',
  None,
  'Write the figures to this file, a list with an object for each.'
  ' Example: --json=figures.json',
)
_QUICK = flags.DEFINE_bool(
  'quick',
  False,
  'Tiny sizes, to see that everything works; the figures say nothing.',
)
_PEERS = flags.DEFINE_enum(
  'peers',
  _DEFAULT.peers,
  ['auto', 'required', 'none'],
  'Whether to compare with PyTorch and faiss: where they are installed, always'
  ' or never.',
)
_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'The data; the embedded world if unset.'
)
_FOLDER = flags.DEFINE_string(
  'folder',
  None,
  'Where checkpoint and ranking_on_disk write, on the disk to measure; the'
  ' temporary folder if unset. Example: --folder=/mnt/disk',
)
_MOST = 2**31 - 1
_MOST_DEVICES = 1024
_NUMBERS = {
  name: flags.DEFINE_integer(name, None, text, lower_bound=1, upper_bound=_MOST)
  for name, text in {
    'repeats': f'How often to measure each; {_DEFAULT.repeats} if unset.',
    'epochs': 'paper: epochs of 211 steps; 1 on a CPU, else 100 if unset.',
    'influencers': f'ranking.., serving: rows; or {_DEFAULT.influencers:,}.',
    'width': f'ranking, serving: columns; {_DEFAULT.width:,} if unset.',
    'brands': f'ranking: queries; {_DEFAULT.brands} if unset.',
    'k': f'ranking: influencers for each brand; {_DEFAULT.k} if unset.',
    'job_brands': 'recommending: brands; 1,024 on a CPU, else 10,000.',
    'job_influencers': 'recommending: 100,000 on a CPU, else 1,000,000.',
  }.items()
}
_LISTS = {
  name: flags.DEFINE_list(
    name,
    None,
    f'{text} Example: --{name}={",".join(map(str, getattr(_DEFAULT, name)))}',
  )
  for name, text in {
    'batch_sizes': 'training, encoding: batch sizes.',
    'parameters': 'checkpoint: numbers of parameters.',
    'accounts': 'scaling: numbers of accounts.',
    'pairs': 'scaling: numbers of cooperations.',
    'devices': 'scaling: numbers of simulated CPU devices.',
  }.items()
}
_QUICK_SIZES: dict[str, Any] = {
  'repeats': 2,
  'batch_sizes': (8,),
  'epochs': 1,
  'influencers': 3000,
  'width': 16,
  'brands': 4,
  'k': 5,
  'job_brands': 20,
  'job_influencers': 300,
  'parameters': (2000,),
  'accounts': (200,),
  'pairs': (100,),
  'devices': (1, 2),
}


def _integers(name: str, words: list[str]) -> tuple[int, ...]:
  least = scaling.LEAST_ACCOUNTS if name == 'accounts' else 1
  most = _MOST_DEVICES if name == 'devices' else _MOST
  for word in words:
    # Python refuses to read numbers of thousands of digits.
    number = int(word) if word.isdecimal() and len(word) < 20 else -1
    if not least <= number <= most:
      raise errors.UserError(
        f'--{name}: {word[:80]!r} is no whole number of {least}..{most}'
      )
  return tuple(map(int, words))


def _options() -> harness.Options:
  sizes = dict(_QUICK_SIZES) if _QUICK.value else {}
  for name, flag in _NUMBERS.items():
    if flag.value is not None:
      sizes[name] = flag.value
  for name, words in _LISTS.items():
    if words.value is not None:
      sizes[name] = _integers(name, words.value)
  if _FOLDER.value:
    try:
      with tempfile.TemporaryFile(dir=_FOLDER.value):
        pass
    except OSError as e:
      raise errors.UserError(
        f'--folder={_FOLDER.value}: {e.strerror or e}'
      ) from None
  return harness.Options(
    quick=_QUICK.value,
    bundle=_BUNDLE.value,
    peers=_PEERS.value,
    folder=_FOLDER.value,
    **sizes,
  )


def main(argv: list[str]) -> None:
  """Runs the benchmarks that the command line names."""
  if len(argv) < 2:
    raise errors.UserError(
      'name a benchmark: python -m launch.benchmark'
      f' {"|".join((*registry.BENCHMARKS, registry.ALL))}'
    )
  names = registry.choose(argv[1])
  options = _options()
  command_line.check_output_files(json=_JSON.value)
  rates, figures = registry.run(names, options)
  records: dict[str, list[dict[str, Any]]] = {}
  unwritten: OSError | None = None
  for figure in figures:
    record = registry.as_json(figure, rates)
    records.setdefault(figure.name, []).append(record)
    console.note(report.of_figure(record))
    if _JSON.value:
      # After every figure: a long run that ends early leaves what it has.
      everything = [r for of_one in records.values() for r in of_one]
      try:
        files.write_json(_JSON.value, everything)
        unwritten = None
      except OSError as e:
        unwritten = e
  for name, of_one in records.items():
    if name == names[0]:
      console.say(report.of_machine(of_one[0]))
    console.say(f'\n{name}\n{report.of_figures(of_one)}')
  if unwritten:
    raise errors.UserError(
      f'--json={_JSON.value}: {unwritten.strerror or unwritten}'
    )


if __name__ == '__main__':
  command_line.run(main, arguments=1)
