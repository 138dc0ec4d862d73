"""The peak of memory."""

import numpy as np
import pytest

from morning_jax.benchmarks import memory


def test_peak_memory_of_a_call():
  np.ones(1 << 26).sum()  # 512 MiB, before: no part of the peak
  peak = memory.peak_beyond(lambda: np.ones(1 << 24).sum())  # 128 MiB
  if peak is None:
    pytest.skip('this system does not tell the peak')
  assert 120e6 < peak < 250e6
  assert memory.peak_beyond(lambda: None) < 20e6
