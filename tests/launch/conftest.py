"""Commands that many tests of a module run."""

from collections.abc import Iterator

import pytest

from tests.attack import forked


@pytest.fixture(scope='module')
def launcher(request: pytest.FixtureRequest) -> Iterator[forked.Launcher]:
  """A server of the command that the module names as its `COMMAND`."""
  found = forked.Launcher(request.module.COMMAND)
  yield found
  found.close()
