"""Encoding for evaluation: products of full precision on every backend."""

import jax
import pytest

from configs import morning as config_lib
from morning_jax.core import input_spec
from morning_jax.evaluation import encode as encode_lib
from morning_jax.model import factory
from tests import parameters
from tests.model import test_morning


def products(jaxpr):
  """All matrix products of a program, and of the programs in it."""
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'dot_general':
      yield equation
    for inner in jax.tree.leaves(
      equation.params, is_leaf=lambda x: hasattr(x, 'jaxpr')
    ):
      if hasattr(inner, 'jaxpr'):
        yield from products(inner.jaxpr)


@pytest.mark.parametrize('variant', ['', 'paper', 'release'])
def test_products_are_of_full_precision(variant):
  # An accelerator rounds the factors of float32 products by default.
  c = config_lib.get_config(variant).model
  spec, _ = input_spec.resolve(c, test_morning.SIZES)
  model = factory.build(c, spec)
  accounts = test_morning.table()
  variables = {'params': parameters.draw(model, accounts, accounts)}
  encode = encode_lib.make_encode(model)
  program = jax.make_jaxpr(encode, static_argnums=3)(
    variables, accounts, None, 'brand'
  )
  found = list(products(program.jaxpr))
  assert len(found) >= 4
  highest = jax.lax.Precision.HIGHEST
  for equation in found:
    assert equation.params['precision'] == (highest, highest), equation
