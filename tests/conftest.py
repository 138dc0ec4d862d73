"""Shared by all tests: eight simulated devices, and where the real data is."""

import os
import pathlib

from tests import xla_flags

_ROOT = pathlib.Path(__file__).resolve().parent.parent

# Before JAX starts: multi-device tests run on simulated devices.
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = xla_flags.with_devices(
  f'{xla_flags.QUICK} {os.environ.get("XLA_FLAGS", "")}', 8
)
# Many tests compile the same programs, also in processes of their own.
os.environ['JAX_COMPILATION_CACHE_DIR'] = str(_ROOT / '.pytest_cache' / 'jax')
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.05'

import pytest  # noqa: E402


@pytest.fixture(scope='session')
def real_data() -> pathlib.Path:
  """The real bundle's folder; tests that use it skip where it is absent."""
  folder = pathlib.Path(
    os.environ.get('MORNING_REAL_DATA')
    or _ROOT.parent / 'shared' / 'data' / 'bmi_train'
  )
  if not (folder / 'accounts.csv').exists():
    pytest.skip(f'the real data is not at {folder} (MORNING_REAL_DATA)')
  return folder
