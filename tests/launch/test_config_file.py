"""Configuration files of one's own."""

import pytest

from launch import config_file
from morning_jax.core import errors

_CHANGES = {
  'a field that is missing': (
    'del c.train["epochs"]',
    'lacks train.epochs;',
  ),
  'a part that is missing': (
    'del c["evaluation"]',
    'lacks evaluation.batch_size, evaluation.every_epochs,'
    ' evaluation.patience;',
  ),
  'a field too many': ('c.train.epoch = 1', 'has an unknown train.epoch;'),
  'another type': (
    'with c.ignore_type(): c.train.epochs = "1"',
    "train.epochs='1' is of type str, must be int",
  ),
  'a mistake': ('c.none', 'row 6: AttributeError:'),
  'an end': ('raise SystemExit', 'row 6: SystemExit: '),
  'something else': ('return 7', 'get_config returns no ConfigDict but a int'),
}


@pytest.mark.parametrize('name', _CHANGES)
def test_a_configuration_file_of_ones_own_is_complete(name, tmp_path):
  change, said = _CHANGES[name]
  path = tmp_path / 'mine.py'
  path.write_text(
    'from configs import morning\n\n\ndef get_config():\n'
    f'  c = morning.get_config("smoke").unlock()\n  {change}\n  return c\n'
  )
  with pytest.raises(errors.UserError) as e:
    config_file.complete(['x', f'--config={path}'])
  assert str(e.value).startswith(f'--config={path}: ')
  assert said in str(e.value)


def test_a_configuration_file_of_ones_own_may_change_what_it_likes(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'from configs import morning\n\n\ndef get_config(variant):\n'
    '  c = morning.get_config(variant).unlock()\n'
    '  c.data.bundle = "x"\n  c.data.valid_share = 0\n  return c\n'
  )
  words = ['x', '--config.train.epochs=1', f'--config={path}:paper']
  assert config_file.complete(words) == [words[0], words[2], words[1]]
