"""The table of parameters."""

import numpy as np

from morning_jax.reporting import parameters


def test_every_array_and_the_total_are_listed():
  params = {
    'tower': {'kernel': np.zeros((40, 30), np.float32), 'bias': np.zeros(30)},
    'scale': np.zeros((), np.float16),
  }
  lines = parameters.of_parameters(params).splitlines()
  assert [line.split() for line in lines[2:]] == [
    ['scale', '1', 'float16'],
    ['tower/bias', '30', '30', 'float64'],
    ['tower/kernel', '40', 'x', '30', '1,200', 'float32'],
    ['total', '1,231'],
  ]
