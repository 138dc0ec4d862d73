"""An influencer who is forgotten leaves the index, and enters the list."""

from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.data.bundle import forgetting as bundle_forgetting
from morning_jax.recommend import forgetting
from morning_jax.recommend import index

ROWS = np.arange(28, dtype=np.float32).reshape(7, 4)
PLACE = bundle_forgetting.Place(role=1, row=9, row_of_role=2, num_of_role=7)


def build(path, dtype):
  index.build_index(
    lambda first, last: ROWS[first:last],
    path, num_rows=7, width=4, fingerprint='f', dtype=dtype,
  )  # fmt: skip


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_its_row_is_gone(tmp_path, dtype):
  path = tmp_path / 'catalogue.npy'
  build(path, dtype)
  (tmp_path / 'catalogue.npy.part').write_bytes(b'half')
  assert forgetting.forget_in_index(path, PLACE)
  left = index.open_index(path)
  assert left.dtype == jnp.dtype(dtype)
  np.testing.assert_array_equal(
    np.asarray(left, np.float32), np.delete(ROWS, 2, 0)
  )
  assert not (tmp_path / 'catalogue.npy.part').exists()
  # Again, before the bundle was rewritten; and what is left is never taken for
  # an index of everybody.
  assert not forgetting.forget_in_index(path, PLACE)
  assert len(index.open_index(path)) == 6
  build(path, dtype)
  assert len(index.open_index(path)) == 7


def test_an_index_of_others_is_refused(tmp_path):
  path = tmp_path / 'catalogue.npy'
  np.save(path, ROWS[:6])
  with pytest.raises(errors.UserError, match='of another bundle'):
    forgetting.forget_in_index(path, PLACE)
  np.testing.assert_array_equal(index.open_index(path), ROWS[:6])


def test_the_list_gets_a_line_once(tmp_path):
  path = tmp_path / 'out.txt'
  assert forgetting.exclude(path, 'ann')
  path.write_text('ann\nbob')
  assert forgetting.exclude(path, 'eve')
  assert not forgetting.exclude(path, 'eve')
  assert path.read_text() == 'ann\nbob\neve\n'
