"""Mistakes of compilation end in one line."""

import pytest

from tests import runs
from tests.launch import commands

COMPILE = {
  'out of range': (
    ['--topology=v5e:2x2', '--config.train.batch_size=0'],
    'config.train.batch_size=0 must be at least 1',
  ),
  'no number': (['--topology=v5e:²x2'], 'is no chip and shape as in v5e:4x4'),
  'no feature': (
    ['--topology=v5e:2x2', '--features=content_image:0'],
    "'content_image:0' is no feature:size",
  ),
  'no size': (
    ['--topology=v5e:2x2', '--sweep=brands:²'],
    'is not of the form batch_size:256,1024',
  ),
  'too many': (['--topology=v5e:2x2', '--brands=2147483648'], 'brands'),
  'no chips': (['--topology=v5e:0x4'], 'is no chip and shape as in v5e:4x4'),
}


@pytest.mark.parametrize(
  'name', runs.slow_but({'out of range', 'no chips'}, COMPILE)
)
def test_mistakes_of_compilation(name):
  args, said = COMPILE[name]
  assert said in commands.fails(*args, module='compile')
