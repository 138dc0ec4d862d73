"""Attributes from nouns."""

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.features import options as options_lib
from morning_jax.features.attributes import fitted as fitted_lib

NOUNS = [
  ['lipstick', 'mother'],
  ['foundation', 'foundation', 'zorber'],
  ['coffee', 'zorber', 'lipstick'],
  ['zorber', 'latte', 'mother'],
  ['unicyclist'],
]


def fit(**changes):
  options = options_lib.AttributeOptions(min_accounts=2, **changes)
  return fitted_lib.fit(NOUNS, options)


def test_words_of_one_attribute_count_together():
  words, left_over = fit()
  # lipstick and foundation, coffee and latte, mother twice, zorber thrice.
  assert words.names == ('coffee', 'cosmetic', 'parenting', 'zorber')
  assert [(w.word, w.accounts, w.attribute) for w in left_over] == [
    ('zorber', 3, 'zorber'),
    ('unicyclist', 1, ''),
  ]


def test_words_of_no_table_can_be_left_out():
  words, left_over = fit(own=False)
  assert words.names == ('coffee', 'cosmetic', 'parenting')
  assert [w.attribute for w in left_over] == ['', '']


def test_what_a_ranking_must_not_use_is_no_attribute():
  options = options_lib.AttributeOptions(min_accounts=1)
  words, left_over = fitted_lib.fit([['muslim', 'tea'], ['muslim']], options)
  assert words.names == ('tea',)
  assert left_over == []
  assert not len(words.held([['muslim']]).holder)


def test_accounts_hold_what_their_words_stand_for_once():
  words, _ = fit()
  held = words.held(
    [*NOUNS, ['perfume'], ['eyeliner', 'lipstick', 'cappuccino']]
  )
  pairs = [
    (int(a), str(held.names_V[v]))
    for a, v in zip(held.holder, held.held, strict=True)
  ]
  assert pairs == [
    (0, 'cosmetic'),
    (0, 'parenting'),
    (1, 'cosmetic'),
    (1, 'zorber'),
    (2, 'coffee'),
    (2, 'cosmetic'),
    (2, 'zorber'),
    (3, 'coffee'),
    (3, 'parenting'),
    (3, 'zorber'),
    (6, 'coffee'),
    (6, 'cosmetic'),
  ]
  assert len(np.unique(held.ids_V)) == 4


def test_they_are_stored_and_read_back(tmp_path):
  words, _ = fit()
  words.save(tmp_path)
  assert fitted_lib.load(tmp_path) == words


INDEX = """  1 This licence is indented.
barista n 1 1 @ 1 0 00000001
cortado n 2 1 @ 2 2 00000003 00000009
thing n 1 0 1 0 00000005
"""
DATA = """  1 This licence is indented.
00000001 18 n 01 barista 0 001 @ 00000002 n 0000 | who makes coffee
00000002 18 n 02 server 0 waiter 0 001 @ 00000005 n 0000 | serves
00000003 13 n 01 cortado 0 001 @ 00000004 n 0000 | a drink
00000004 13 n 01 espresso 0 001 @ 00000005 n 0000 | a drink
00000005 03 n 01 thing 0 000 | whatever
00000009 13 n 01 cut 0 001 @ 00000005 n 0000 | a cut
"""


def test_wordnet_leads_to_words_of_the_table(tmp_path):
  (tmp_path / 'index.noun').write_text(INDEX)
  (tmp_path / 'data.noun').write_text(DATA)
  options = options_lib.AttributeOptions(
    min_accounts=1, wordnet=tmp_path, own=False
  )
  fitted_lib.check(options)
  words, left_over = fitted_lib.fit([['cortado'], ['thing']], options)
  assert words.names == ('coffee',)
  assert [(w.word, w.attribute) for w in left_over] == [
    ('cortado', 'coffee'),
    ('thing', ''),
  ]
  (tmp_path / 'data.noun').write_text(DATA + '00000009 13 n xx cut\n')
  with pytest.raises(errors.UserError, match=r'data\.noun, row 8: is no line'):
    fitted_lib.fit([['cortado']], options)
  (tmp_path / 'data.noun').unlink()
  with pytest.raises(errors.UserError, match=r'has no data\.noun'):
    fitted_lib.check(options)
