"""Messages: one line of bounded length, whatever the user's values are."""

import pytest

from morning_jax.core import errors


@pytest.mark.parametrize(
  ('value', 'shown'),
  [
    ('ann', "'ann'"),
    ('', "''"),
    ("it's", '"it\'s"'),
    ('a\nb\0', r"'a\nb\x00'"),
    ('\udc80', r"'\udc80'"),
    (1.5, "'1.5'"),
    ('x' * 78, "'" + 'x' * 78 + "'"),
    ('x' * 79, "'" + 'x' * 75 + "...'"),
    ('x' * 240_000, "'" + 'x' * 75 + "...'"),
  ],
)
def test_values_are_quoted_in_one_line(value, shown):
  assert errors.quoted(value) == shown
  assert len(shown) <= 80


def test_a_value_of_control_characters_is_cut_too():
  assert len(errors.quoted('\0' * 60)) == 80
  assert len(errors.quoted('x' * 50, limit=40)) == 40


def test_a_message_names_file_and_row():
  assert errors.in_file('a/b.csv', 'is wrong') == 'a/b.csv: is wrong'
  assert errors.in_file('b.csv', 'is\nwrong', row=3) == 'b.csv, row 3: is wrong'
  assert errors.in_file('a\nb', 'no') == r'a\nb: no'


def test_a_message_is_at_most_300_characters():
  path = '/folder' * 100 + '/accounts.csv'
  message = errors.in_file(path, 'is wrong', row=5)
  assert len(message) == 300
  assert message.startswith('...')
  assert message.endswith('/accounts.csv, row 5: is wrong')
  message = errors.in_file(path, 'so ' * 200, row=5)
  assert len(message) == 300
  assert '/accounts.csv, row 5: so so' in message
  short = errors.in_file('accounts.csv', 'so ' * 200)
  assert len(short) == 300 and short.startswith('accounts.csv: so')
