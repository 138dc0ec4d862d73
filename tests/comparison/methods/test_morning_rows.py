"""The recipes of the rows of MORNING."""

from morning_jax.comparison.methods import morning_rows
from morning_jax.comparison.methods import registry
from tests.comparison import setups


def test_ablations_leave_the_other_recipes_alone(world):
  rows = registry.table(setups.recipes())
  for key, kept in morning_rows.ABLATIONS.items():
    assert tuple(rows[key].recipe.model.perspectives) == kept
  for key in ('morning', 'morning-paper'):
    assert len(rows[key].recipe.model.perspectives) == 3
  assert all(rows[k].unavailable(world) is None for k in morning_rows.ABLATIONS)
