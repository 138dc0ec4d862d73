"""The legend of dimension letters, and types that all rooms share."""

import ast
import pathlib
import re

import numpy as np
import pytest

from morning_jax.core import accounts

ROOT = pathlib.Path(accounts.__file__).resolve().parent.parent.parent
# A lower-case name that ends in its shape: text_AxF, weight_E, edges_Ex2.
SHAPE = re.compile(r'[a-z]\w*?_(\d*[A-Z](?:x\d*[A-Z]|x\d+)*)$')


def letters_of(text: str) -> dict[str, str]:
  """Returns the dimension letters of a module -> a name that has it."""
  found = {}
  for node in ast.walk(ast.parse(text)):
    names = [
      getattr(node, field, None) for field in ('id', 'arg', 'attr', 'name')
    ]
    for name in filter(None, names):
      if shape := SHAPE.match(str(name)):
        for letter in re.findall('[A-Z]', shape[1]):
          found[letter] = str(name)
  return found


def legend() -> list[str]:
  return re.findall(r'^  ([A-Z])  \S', accounts.__doc__, re.MULTILINE)


def test_letters_are_found_in_names_of_all_kinds():
  found = letters_of(
    'def f_Y(x_AxF):\n  rows_Bx1 = self.edge_Ex2\n  return g(own_RxRxK=1)\n'
    'OTHER_Z = 3\nF = own\n'
  )
  assert sorted(found) == ['A', 'B', 'E', 'F', 'K', 'R', 'Y']


def test_the_legend_has_every_dimension_letter_in_use_and_no_other():
  used = {}
  for package in ('morning_jax', 'launch', 'configs'):
    for path in (ROOT / package).rglob('*.py'):
      used |= letters_of(path.read_text(encoding='utf-8'))
  missing = {k: name for k, name in used.items() if k not in legend()}
  assert not missing
  assert set(legend()) == set(used)
  assert len(legend()) == len(set(legend()))


def test_rows_of_a_table_are_gathered_in_every_array():
  table = accounts.AccountTable(
    features={'content_text': np.arange(6.0).reshape(3, 2)},
    present={'content_text': np.array([True, False, True])},
  )
  rows = table[np.array([2, 0])]
  assert rows.features['content_text'].tolist() == [[4, 5], [0, 1]]
  assert rows.present['content_text'].tolist() == [True, True]
  assert rows.held is None
  assert table[1:].present['content_text'].tolist() == [False, True]


@pytest.mark.parametrize(
  ('role', 'rows'), [(accounts.BRAND, [1, 2]), (accounts.INFLUENCER, [0, 3])]
)
def test_rows_of_a_role_ascend(role, rows):
  made = accounts.Accounts(
    ids=np.array(list('abcd')),
    roles=np.array([1, 0, 0, 1], np.int8),
    categories=np.full(4, ''),
    splits=np.array(['', 'train', 'test', '']),
  )
  assert len(made) == 4
  assert made.rows_of(role).tolist() == rows


def test_feature_sizes_have_the_order_of_the_table_of_features():
  dataset = accounts.Dataset(
    name='x',
    accounts=None,
    features={
      'attribute_embedding': np.zeros((2, 5)),
      'content_image': np.zeros((2, 3)),
    },
    positives_Px2=np.zeros((0, 2), np.int64),
  )
  assert list(dataset.feature_sizes.items()) == [
    ('content_image', 3),
    ('attribute_embedding', 5),
  ]
