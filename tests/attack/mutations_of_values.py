"""Mutations of what the cells of a table say."""

import unicodedata

from tests.attack import mutation
from tests.attack.mutation import EITHER
from tests.attack.mutation import READ
from tests.attack.mutation import REFUSED
from tests.attack.mutation import TABLES
from tests.attack.mutation import change_rows
from tests.attack.mutation import kind
from tests.attack.mutation import pick
from tests.attack.mutation import set_cell

_BRANDS, _INFLUENCERS = range(1, 5), range(5, 10)  # rows of accounts.csv


@kind('value', REFUSED)
def followers(folder, rng):
  value = pick(
    rng,
    [
      str(1 << 63),
      str(1 << 64),
      '9' * 400,
      '9' * 5_000,
      '-1',
      '1.5',
      '1e3',
      '1_000',
      '1,000',
      '0x10',
      '١٢',
      '²',
      'nan',
      'many',
      '- 1',
      '--1',
    ],
  )
  set_cell(folder / 'accounts.csv', rng, 'followers', value)


@kind('value', READ)
def followers_at_the_edge(folder, rng):
  value = pick(rng, ['', '0', '-0', '+7', '007', str((1 << 63) - 1), ' 8 '])
  set_cell(folder / 'accounts.csv', rng, 'followers', value)


@kind('value', REFUSED)
def role(folder, rng):
  table = pick(rng, ['accounts.csv', 'account_attributes.csv'])
  value = pick(rng, ['', 'influenser', 'brand influencer', '0', 'ｂrand', 'é'])
  set_cell(folder / table, rng, 'role', value)


@kind('value', READ)
def capitals(folder, rng):
  def change(rows):
    change_case = pick(rng, [str.upper, str.title])
    for name in {'role', 'split'} & set(rows[0]):
      place = rows[0].index(name)
      for row in rows[1:]:
        row[place] = change_case(row[place])
    return rows

  table = pick(rng, ['accounts.csv', 'account_attributes.csv'])
  change_rows(folder / table, change)


@kind('value', REFUSED)
def split_of_a_brand(folder, rng):
  value = pick(rng, ['', 'tset', 'all', 'train,test', 'x' * 900])
  set_cell(folder / 'accounts.csv', rng, 'split', value, _BRANDS)


@kind('value', READ)
def split_of_an_influencer(folder, rng):
  value = pick(rng, ['train', 'Valid', 'test'])
  set_cell(folder / 'accounts.csv', rng, 'split', value, _INFLUENCERS)


@kind('value', READ)
def no_training_brand(folder, rng):
  del rng
  change_rows(
    folder / 'accounts.csv',
    lambda rows: [[c.replace('train', 'valid') for c in r] for r in rows],
  )


@kind('value', REFUSED)
def empty_cell(folder, rng):
  table, name = mutation.column(rng)
  if name == 'category':
    table, name = 'accounts.csv', 'account_id'
  rows = _BRANDS if name == 'split' else None
  value = pick(rng, ['', '   ', '\t', '\u00a0'])
  set_cell(folder / table, rng, name, value, rows)


def _rename_m4(folder, rng, value):
  """Renames an influencer of one interaction, which is dropped."""
  set_cell(folder / 'accounts.csv', rng, 'account_id', value, [8])
  change_rows(
    folder / 'interactions.csv', lambda rows: [r for r in rows if 'm4' not in r]
  )


@kind('value', REFUSED)
def account_twice(folder, rng):
  _rename_m4(folder, rng, pick(rng, ['m1', ' m1 ', 'm1\n', '\u2003m1']))


@kind('value', REFUSED)
def names_that_differ_by_a_final_nul(folder, rng):
  _rename_m4(folder, rng, 'm1' + '\0' * int(rng.integers(1, 4)))


@kind('value', REFUSED)
def no_account_of_a_role(folder, rng):
  kept = pick(rng, ['brand', 'influencer'])
  change_rows(
    folder / 'accounts.csv',
    lambda rows: [rows[0], *(r for r in rows if r[1] == kept)],
  )


@kind('value', REFUSED)
def unknown_account(folder, rng):
  table, name = pick(
    rng,
    [
      ('interactions.csv', 'brand_id'),
      ('interactions.csv', 'influencer_id'),
      ('account_attributes.csv', 'account_id'),
    ],
  )
  value = pick(rng, ['nobody', 'B1', 'm', 'm1.', 'x' * 900, '\u200bm1', "'"])
  set_cell(folder / table, rng, name, value)


@kind('value', REFUSED)
def columns_swapped(folder, rng):
  table = pick(rng, ['interactions.csv', 'account_attributes.csv'])
  change_rows(
    folder / table, lambda rows: [rows[0], *(r[::-1] for r in rows[1:])]
  )


@kind('value', READ)
def interactions_repeated(folder, rng):
  times = int(rng.integers(2, 200))
  change_rows(
    folder / 'interactions.csv', lambda rows: [rows[0], *(rows[1:] * times)]
  )


@kind('value', READ)
def one_interaction(folder, rng):
  del rng
  change_rows(folder / 'interactions.csv', lambda rows: rows[:2])


@kind('value', REFUSED)
def unknown_attribute(folder, rng):
  table, name = pick(
    rng,
    [
      ('account_attributes.csv', 'attribute_id'),
      ('attribute_graph.csv', 'source'),
      ('attribute_graph.csv', 'target'),
    ],
  )
  value = pick(rng, ['9', '-1', '0.0', '00', 'chef', str(1 << 70), 'x' * 900])
  set_cell(folder / table, rng, name, value)


@kind('value', REFUSED)
def attribute_twice(folder, rng):
  name = pick(rng, ['attribute_id', 'name'])

  def change(rows):
    place = rows[0].index(name)
    rows[4][place] = f' {rows[int(rng.integers(1, 4))][place]} '
    return rows

  change_rows(folder / 'attributes.csv', change)


@kind('value', REFUSED)
def weight(folder, rng):
  value = pick(
    rng,
    [
      *('0', '-0.0', '-1', 'nan', 'inf', '-inf', '1e39', '1e-50', '1e400'),
      *(
        '0,71',
        '1.5.2',
        '1_',
        '0x1p3',
        '½',
        'heavy',
        '9' * 900,
        '--1',
        '1_0',
        '١',
      ),
    ],
  )
  set_cell(folder / 'attribute_graph.csv', rng, 'weight', value)


@kind('value', READ)
def weight_at_the_edge(folder, rng):
  value = pick(rng, ['1e15', '1e-15', '.5', '+1', '1e0', ' 2 '])
  set_cell(folder / 'attribute_graph.csv', rng, 'weight', value)


@kind('value', REFUSED)
def edge_to_itself(folder, rng):
  node = pick(rng, ['0', '1', '2', 'w'])
  change_rows(
    folder / 'attribute_graph.csv', lambda rows: [*rows, [node, node, '1']]
  )


@kind('value', REFUSED)
def edge_twice(folder, rng):
  def change(rows):
    return [*rows, [*pick(rng, rows[1:])[:2], pick(rng, ['1', '2', '0.71'])]]

  change_rows(folder / 'attribute_graph.csv', change)


@kind('value', READ)
def edges_in_both_directions(folder, rng):
  """Symmetric, damaged symmetric, or counts."""
  factor = pick(rng, [1.0, 1.001, 1.3])

  def change(rows):
    pairs = {frozenset(r[:2]): r for r in rows[1:]}.values()
    back = [[r[1], r[0], str(float(r[2]) * factor)] for r in pairs]
    both = [*pairs, *back]
    if rng.integers(2):
      both.pop(int(rng.integers(len(both))))
    return [rows[0], *both]

  change_rows(folder / 'attribute_graph.csv', change)


@kind('value', READ)
def complete_graph(folder, rng):
  nodes = ['0', '1', '2', 'w']
  edges = [
    [a, b, str(rng.random() + 0.1)] for a in nodes for b in nodes if a != b
  ]
  change_rows(folder / 'attribute_graph.csv', lambda rows: [rows[0], *edges])


@kind('value', READ)
def strange_characters(folder, rng):
  value = pick(
    rng,
    [
      'a\u2028b',
      'a\x85b',
      '\u202eevil',
      'a\x1b[31mred',
      '😀' * 10,
      'a\x7f\x01b',
      'a\u0301' * 5,
      'a\'b"c',
      'a\nb\rc',
      '=1+1',
      '${HOME}',
      '%s%n{0}',
    ],
  )
  table, name = pick(
    rng,
    [
      ('accounts.csv', 'category'),
      ('accounts.csv', 'biography'),
      ('accounts.csv', 'found_under_category'),
      ('attributes.csv', 'name'),
    ],
  )
  set_cell(folder / table, rng, name, value)


@kind('value', READ)
def names_in_two_normal_forms(folder, rng):
  del rng
  forms = [unicodedata.normalize(form, 'café') for form in ('NFC', 'NFD')]
  change_rows(
    folder / 'attributes.csv',
    lambda rows: [*rows, ['n1', forms[0]], ['n2', forms[1]]],
  )


@kind('value', READ)
def white_space_around_cells(folder, rng):
  space = pick(rng, [' ', '\t', '\u00a0', '\n'])

  def change(rows):
    return [rows[0], *([space + c + space for c in r] for r in rows[1:])]

  change_rows(folder / pick(rng, TABLES), change)


@kind('value', EITHER)
def cells_exchanged(folder, rng):
  """Two cells of any two tables change places."""
  one, other = pick(rng, TABLES), pick(rng, TABLES)
  taken: list[str] = []

  def change(rows):
    row = pick(rng, rows)
    place = int(rng.integers(len(row)))
    cell, row[place] = row[place], taken.pop() if taken else row[place]
    taken.append(cell)
    return rows

  change_rows(folder / one, change)
  change_rows(folder / other, change)
  change_rows(folder / one, change)


@kind('value', REFUSED)
def long_biography(folder, rng):
  value = pick(rng, ['x', 'é', '😀', '\n']) * int(rng.integers(10_001, 60_000))
  set_cell(folder / 'accounts.csv', rng, 'biography', value)
