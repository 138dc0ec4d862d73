"""Shared by the tests of the comparison."""

import pytest

from tests import runs


@pytest.fixture(scope='session')
def world():
  return runs.small_world()
