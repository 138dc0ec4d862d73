"""Rows that go where they are wanted, whatever is wanted."""

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from morning_jax.core import packed_rows
from morning_jax.core import row_exchange
from morning_jax.core import sharding
from morning_jax.training.aot import hlo

NUM_ROWS, NUM_WANTED, WIDTH = 203, 77, 5


@pytest.fixture(scope='module')
def table():
  rng = np.random.default_rng(0)
  return {
    'features': rng.normal(size=(NUM_ROWS, WIDTH)).astype(np.float32),
    'present': rng.random(NUM_ROWS) < 0.5,
    'held': rng.integers(-9, 9, (NUM_ROWS, 2, 3)).astype(np.int32),
  }


def taken(table, rows, mesh):
  with jax.set_mesh(mesh):
    packed = packed_rows.put(table, mesh)

    @jax.jit
    def take(word_AxW, rows):
      words = row_exchange.take_rows(word_AxW, rows.ravel())
      unpacked = packed_rows.PackedRows(words, packed.layout).unpack()
      return jax.tree.map(
        lambda x: x.reshape(*rows.shape, *x.shape[1:]), unpacked
      )

    return take(packed.word_AxW, jnp.asarray(rows))


def check(table, rows, mesh):
  found = taken(table, rows, mesh)
  for name, x in table.items():
    assert found[name].dtype == x.dtype
    np.testing.assert_array_equal(found[name], x[rows], name)


@pytest.mark.parametrize('shape', [(8, 1), (4, 2), (1, 8)])
def test_any_rows_on_any_mesh(table, shape):
  mesh = sharding.make_mesh(data=shape[0], model=shape[1])
  rows = np.random.default_rng(1).integers(0, NUM_ROWS, NUM_WANTED)
  check(table, rows, mesh)


def test_several_rows_for_each_of_a_batch(table):
  mesh = sharding.make_mesh(data=8, model=1)
  check(table, np.random.default_rng(2).integers(0, NUM_ROWS, (24, 2)), mesh)


@pytest.mark.parametrize('row', [0, NUM_ROWS - 1])
def test_all_want_the_same_row(table, row):
  # One device has all that is wanted: the exchange takes several rounds.
  check(table, np.full(8 * 90, row), sharding.make_mesh(data=8, model=1))


def test_special_numbers_keep_their_bits():
  bits = np.array([0x7FC00001, 0xFFFFFFFF, 0x80000000, 1], np.uint32)
  x = np.tile(bits.view(np.float32), 4)[:, None]
  mesh = sharding.make_mesh(data=8, model=1)
  found = taken({'x': x}, np.arange(16)[::-1].copy(), mesh)['x']
  np.testing.assert_array_equal(
    np.asarray(found).view(np.uint32), x[::-1].view(np.uint32)
  )


def test_nothing_travels_to_those_who_do_not_want_it():
  mesh = sharding.make_mesh(data=8, model=1)
  count = 8 * 1024
  table = sharding.put_rows(np.zeros((4096, 16), np.float32), mesh)
  with jax.set_mesh(mesh):
    text = (
      jax.jit(row_exchange.take_rows)
      .lower(table, jnp.zeros(count, jnp.int32))
      .compile()
      .as_text()
    )
  own = count // 8 * 16 * 4
  sent = sum(c.bytes_sent for c in hlo.collectives(text, num_devices=8))
  assert own < sent < 2 * own
