"""What one of several processes meets, all raise."""

import errno

import jax
import pytest

from morning_jax.core import errors
from morning_jax.core import multihost


def others(monkeypatch, *met: Exception | None):
  """This process is the last of several; the others met something."""

  def texts(own):
    told = [None if e is None else multihost._portable(e) for e in met]
    return [*map(multihost.json.dumps, told), own]

  monkeypatch.setattr(jax, 'process_count', lambda: len(met) + 1)
  monkeypatch.setattr(multihost, 'texts', texts)


MET = {
  'a mistake': (errors.UserError('f.csv: no'), errors.UserError, 'f.csv: no'),
  'may pass': (errors.TransientError('late'), errors.TransientError, 'late'),
  'a path': (
    PermissionError(errno.EACCES, 'Permission denied', '/x/stream'),
    PermissionError,
    r"\[Errno 13\] Permission denied: '/x/stream'",
  ),
  'a bug': (KeyError('x'), RuntimeError, "process 0: KeyError: 'x'"),
}


@pytest.mark.parametrize('name', MET)
def test_what_another_one_meets_is_raised_here(monkeypatch, name):
  error, kind, text = MET[name]
  others(monkeypatch, error, None)
  done = []
  with pytest.raises(kind, match=f'^{text}$'), multihost.raise_together():
    done.append(1)
  assert done == [1]


def test_of_several_its_own_or_else_the_first_counts(monkeypatch):
  others(monkeypatch, None, errors.UserError('1'), errors.UserError('2'))
  with (
    pytest.raises(errors.UserError, match=r'^1$'),
    multihost.raise_together(),
  ):
    pass
  with pytest.raises(KeyError, match='own'), multihost.raise_together():
    raise KeyError('own')


def test_nothing_is_raised_where_nobody_met_anything(monkeypatch):
  others(monkeypatch, None, None)
  with multihost.raise_together():
    pass


def test_alone_it_is_as_if_it_were_not_there():
  with pytest.raises(KeyError, match='own'), multihost.raise_together():
    raise KeyError('own')
