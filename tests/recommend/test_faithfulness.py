"""Faithfulness: what is said of k reasons against what they cost together."""

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import faithfulness
from morning_jax.recommend import reasons as reasons_lib
from morning_jax.recommend import recommend
from tests.recommend.test_recommend import ALL


@pytest.mark.parametrize('recipe', ['lookup', 'paper'])
def test_one_reason_costs_what_it_says(catalogues, recipe):
  catalogue = catalogues(recipe)
  one, three = faithfulness.measure(catalogue, [0, 30], counts=(1, 3), top=4)
  assert (one.k, one.pairs, three.k, three.pairs) == (1, 8, 3, 8)
  assert one.error == pytest.approx(0, abs=1e-3)
  assert one.correlation == pytest.approx(1, abs=1e-3)
  assert one.said == pytest.approx(one.measured, abs=1e-3)
  assert three.said > one.said > one.random


def test_together_is_measured_by_encoding_again(catalogues):
  catalogue = catalogues('gat')
  (found,) = faithfulness.measure(catalogue, [5], counts=(4,), top=3)
  brand = catalogue.account_at(accounts_lib.BRAND, 5)
  said, measured, beyond = [], [], []
  for r in recommend.recommend(catalogue, brand, 3, ALL):
    account = catalogue.account_at(accounts_lib.INFLUENCER, r.row)
    (own,) = reasons_lib.reasons(catalogue, brand, [account])
    removed = [x.removed for x in own.ordered[:4]]
    without = catalogue.new_account(
      catalogue.removals.without(account.profile, removed),
      role=accounts_lib.INFLUENCER,
    )
    said.append(sum(x.drop for x in own.ordered[:4]))
    measured.append(r.score - float(without.vector_D @ brand.vector_D))
    beyond.append(r.score - r.typical)
  assert found.said == pytest.approx(np.mean(said), abs=1e-3)
  assert found.measured == pytest.approx(np.mean(measured), abs=1e-3)
  assert found.beyond_typical == pytest.approx(np.mean(beyond), abs=1e-3)
  assert found.error > 1e-3  # features act on each other
  assert 'correlation' in faithfulness.table([found])


def test_more_reasons_than_there_are_are_left_out(catalogues):
  found = faithfulness.measure(
    catalogues('text alone'), [0], counts=(2, 999), top=2
  )
  assert [f.k for f in found] == [2]
