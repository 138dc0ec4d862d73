"""Turns weights of an image network into a safetensors file.

Example:
  python -m launch.convert_weights --weights=resnet50_places365.pth.tar \
    --output=resnet50_places365.safetensors

What `torch.save` wrote is read without PyTorch, and without running what the
file says: anything but tensors is refused. The numbers stay the same.
"""

from __future__ import annotations

import pathlib

from absl import flags

from launch import command_line
from morning_jax.features.images import weights as weights_lib

_WEIGHTS = flags.DEFINE_string(
  'weights',
  None,
  'File of weights: of torch.save, of either layout, or safetensors.'
  ' Example: --weights=resnet50_places365.pth.tar',
  required=True,
)
_OUTPUT = flags.DEFINE_string(
  'output',
  None,
  'File to write; its name ends in .safetensors.'
  ' Example: --output=resnet50_places365.safetensors',
  required=True,
)


def main(argv: list[str]) -> None:
  """Converts the file and says what was in it."""
  del argv
  command_line.check_output_files(output=_OUTPUT.value)
  target = pathlib.Path(_OUTPUT.value)
  count = weights_lib.convert(pathlib.Path(_WEIGHTS.value), target)
  print(f'{target}: {count:,} arrays, {target.stat().st_size:,} bytes')


if __name__ == '__main__':
  command_line.run(main)
