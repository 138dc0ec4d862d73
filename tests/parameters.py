"""Parameters of modules, drawn without their initialisers.

Compiling the initialisers takes longer than most tests of a model. Where a test
does not ask how a model starts, it takes parameters of the same tree, all of
them random: no zero of an initialiser hides a term.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
from jax import numpy as jnp
import numpy as np


def shapes(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
  """The tree of shapes and types of a module's parameters."""
  init = functools.partial(module.init, **kwargs)
  variables = jax.eval_shape(init, jax.random.key(0), *args)
  return nn.unbox(variables)['params']


def draw(
  module: nn.Module,
  *args: Any,
  scale: float = 0.3,
  seed: int = 0,
  **kwargs: Any,
) -> Any:
  """Draws all parameters of a module from a normal distribution.

  Args:
    module: the module.
    *args: what it is initialised with.
    scale: the standard deviation.
    seed: of the drawing.
    **kwargs: further arguments of its initialisation.

  Returns:
    The tree of its parameters.
  """
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: jnp.asarray(rng.normal(scale=scale, size=x.shape), x.dtype),
    shapes(module, *args, **kwargs),
  )
