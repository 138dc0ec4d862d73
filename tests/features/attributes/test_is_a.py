"""The is-a table, the one that ships and wrong ones."""

import pytest

from morning_jax.core import errors
from morning_jax.features.attributes import is_a


def write(path, rows):
  path.write_text('word,parent\n' + '\n'.join(rows) + '\n')
  return path


def test_a_word_stands_for_the_end_of_its_chain(tmp_path):
  path = write(
    tmp_path / 'is_a.csv',
    ['lipgloss,lipstick', 'Lipstick,cosmetic', 'cosmetic,'],
  )
  assert is_a.read(path).attribute_of == {
    'lipgloss': 'cosmetic',
    'lipstick': 'cosmetic',
    'cosmetic': 'cosmetic',
  }


def test_the_shipped_table_is_sound():
  found = is_a.read(is_a.SHIPPED).attribute_of
  assert len(found) > 1_000
  # The paper's own example.
  assert found['lipstick'] == found['foundation'] == 'cosmetic'
  assert found['barista'] == 'coffee'
  assert all(found[a] == a for a in found.values())
  never = is_a.read(is_a.SHIPPED).never
  assert {'muslim', 'gay', 'diabetes', 'republican'} <= never
  assert not never & found.keys()


@pytest.mark.parametrize(
  ('rows', 'problem'),
  [
    (['a,b', 'b,c', 'c,a'], "row 2: a circle: 'a' is a 'b' is a 'c' is a 'a'"),
    (['a,a'], "row 2: a circle: 'a' is a 'a'"),
    (['x,', 'a,b', 'b,c', 'c,b'], "row 3: a circle: 'b' is a 'c' is a 'b'"),
    (['food,', 'pizza,foood'], r"row 3: parent 'foood' of .*\(near: food\)"),
    (['a,', 'A,'], "row 3: word 'a' is already in row 2"),
    ([',a', 'a,'], 'row 2: word is empty'),
    (['a,b,c'], 'row 2: the header has 2 columns'),
    ([], 'no words'),
  ],
)
def test_mistakes_name_their_row(tmp_path, rows, problem):
  path = write(tmp_path / 'is_a.csv', rows)
  with pytest.raises(errors.UserError, match=problem):
    is_a.read(path)
