"""Weights and pictures for golden logits, from NumPy's generator alone.

`python -m tests.features.images.seeded_resnet` rewrites the golden logits with
torchvision, which must be installed for it (0.29.1 with PyTorch 2.14.1 was).
The tests need NumPy alone.
"""

import pathlib
import zlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parents[2] / 'files' / 'golden_resnet.npz'
# Depth, classes, pixels of a side.
CASES = ((18, 365, 224), (50, 1000, 64), (152, 1000, 64))
_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}


def shapes(depth, classes):
  """Names and shapes of torchvision's state dict, by its construction."""
  found = {'conv1.weight': (64, 3, 7, 7)}

  def norm(name, size):
    for last in ('weight', 'bias', 'running_mean', 'running_var'):
      found[f'{name}.{last}'] = (size,)
    found[f'{name}.num_batches_tracked'] = ()

  norm('bn1', 64)
  expansion = 1 if depth == 18 else 4
  before = 64
  for stage, blocks in enumerate(_BLOCKS[depth], 1):
    width = 32 * 2**stage
    for i in range(blocks):
      block = f'layer{stage}.{i}'
      after = width * expansion
      if depth == 18:
        convs = [(width, before, 3), (width, width, 3)]
      else:
        convs = [(width, before, 1), (width, width, 3), (after, width, 1)]
      for c, (out, into, kernel) in enumerate(convs, 1):
        found[f'{block}.conv{c}.weight'] = (out, into, kernel, kernel)
        norm(f'{block}.bn{c}', out)
      if i == 0 and (stage > 1 or before != after):
        found[f'{block}.downsample.0.weight'] = (after, before, 1, 1)
        norm(f'{block}.downsample.1', after)
      before = after
  found['fc.weight'] = (classes, before)
  found['fc.bias'] = (classes,)
  return found


def state_dict(depth, classes):
  """Weights whose logits are of order one, whatever the depth."""
  arrays = {}
  for name, shape in shapes(depth, classes).items():
    rng = np.random.default_rng([depth, zlib.crc32(name.encode())])
    last = name.rpartition('.')[2]
    if last == 'num_batches_tracked':
      arrays[name] = np.array(7, np.int64)
      continue
    if last == 'running_var':
      value = rng.uniform(0.5, 1.5, shape)
    elif last == 'weight' and len(shape) == 1:
      value = rng.uniform(0.2, 0.6, shape)
    elif last == 'weight':
      gain = 5.0 if name == 'fc.weight' else 1.0
      value = rng.normal(0.0, gain / np.sqrt(np.prod(shape[1:])), shape)
    else:
      value = rng.normal(0.0, 0.1, shape)
    arrays[name] = value.astype(np.float32)
  return arrays


def pictures(size):
  """Two pictures, uint8 [2, size, size, 3]: tiles with noise on them."""
  rng = np.random.default_rng(size)
  tiles = rng.integers(0, 256, (2, 8, 8, 3))
  tiles = tiles.repeat(size // 8, axis=1).repeat(size // 8, axis=2)
  noise = rng.integers(-40, 41, (2, size, size, 3))
  return np.clip(tiles + noise, 0, 255).astype(np.uint8)


def _golden(depth, classes, size):
  import torch
  import torchvision

  model = getattr(torchvision.models, f'resnet{depth}')(num_classes=classes)
  weights = state_dict(depth, classes)
  model.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
  model.eval()
  normalise = torchvision.transforms.Normalize(
    mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]
  )
  x = torch.tensor(pictures(size).transpose(0, 3, 1, 2)).float() / 255
  with torch.no_grad():
    return model(normalise(x)).numpy()


def main():
  np.savez(GOLDEN, **{f'resnet{case[0]}': _golden(*case) for case in CASES})
  with np.load(GOLDEN) as golden:
    for name, logits in golden.items():
      print(name, logits.shape, logits.std(), logits[0, :3])


if __name__ == '__main__':
  main()
