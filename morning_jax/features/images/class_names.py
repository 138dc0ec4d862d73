"""What the classes of the published networks are called.

`classes/imagenet.txt` has the first English name of each of the 1,000 ImageNet
classes (ILSVRC 2012), in the networks' order: words of WordNet 3.0 (Princeton
University, free to use with this notice), made distinct where two classes share
one. `classes/places365.txt` has the 365 categories of Places365 (Zhou et al.,
TPAMI 2018; MIT licence), in the networks' order, `_` and `/` turned into
spaces and commas.
"""

from __future__ import annotations

import functools
from importlib import resources

from morning_jax.features import images


@functools.cache
def read(name: str) -> tuple[str, ...]:
  """Returns the names of classes in the order of a network's numbers.

  Args:
    name: `imagenet` or `places365`.
  """
  file = resources.files(images) / 'classes' / f'{name}.txt'
  return tuple(file.read_text(encoding='utf-8').splitlines())
