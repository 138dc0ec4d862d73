r"""Writes a trained model as StableHLO, to be run by JAX alone.

Example:
  python -m launch.export --workdir=runs/mine --output=my_model

The folder has a program for brands and one for influencers, for CPU, TPU and
CUDA, the weights as an `.npz` file and a description; docs/export.md has a
reader of it. It is a form of exchange: checkpoints stay the archive.
"""

from __future__ import annotations

from absl import flags

from launch import command_line
from morning_jax.evaluation import trained_model
from morning_jax.export import scorer
from morning_jax.reporting import console

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'The folder that launch.train printed.', required=True
)
_OUTPUT = flags.DEFINE_string(
  'output', None, 'Folder to write; new or empty.', required=True
)


def main(argv: list[str]) -> None:
  """Writes the best checkpoint's model."""
  del argv
  scorer.check_new(_OUTPUT.value)
  about = scorer.write(trained_model.restore(_WORKDIR.value), _OUTPUT.value)
  names = ', '.join(i['name'] for i in about['inputs'])
  console.say(f'{_OUTPUT.value}: the model of step {about["step"]:,}')
  console.say(f'  for: {", ".join(about["platforms"])}')
  console.say(f'  takes: {names}')
  console.say(f'  gives: vectors of {about["output"]["shape"][1]:,} numbers')
  console.say('a reader that needs jax alone: docs/export.md')


if __name__ == '__main__':
  command_line.run(main)
