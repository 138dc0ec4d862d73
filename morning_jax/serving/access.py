"""Who reaches a server: the address it listens on, its names, its token."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import ipaddress
import os
import pathlib
import secrets

from morning_jax.core import errors
from morning_jax.core import user_files
from morning_jax.serving import settings as settings_lib

_SHORTEST = 32  # characters of a token
_LONGEST = 512


def is_loopback(host: str) -> bool:
  """Tells whether only this machine reaches an address."""
  with contextlib.suppress(ValueError):
    return ipaddress.ip_address(host).is_loopback
  return host == 'localhost'


def in_address(host: str) -> str:
  """Returns a host as an address has it: IPv6 in brackets."""
  return f'[{host}]' if ':' in host else host


def shown_name(host: str, more: Sequence[str]) -> str:
  """Returns the name in the address that is printed for people to open.

  Args:
    host: where the server listens.
    more: names that the user allows; the first of them where other machines
      reach it.
  """
  return in_address(host if is_loopback(host) or not more else more[0].strip())


def host_names(host: str, more: Sequence[str]) -> tuple[str, ...]:
  """Returns the names by which a server may be addressed.

  Args:
    host: where it listens.
    more: names that the user allows.

  Raises:
    UserError: it listens on all addresses and no name is allowed.
  """
  names = [*settings_lib.LOOPBACK]
  unspecified = False
  with contextlib.suppress(ValueError):
    unspecified = ipaddress.ip_address(host).is_unspecified
  if unspecified and not more:
    raise errors.UserError(
      f'--host={host} is no name that a browser uses: name the server with'
      ' --allowed_hosts=ranker.example.com'
    )
  if not unspecified:
    names.append(in_address(host).lower())
  names += [name.strip().lower() for name in more]
  return tuple(dict.fromkeys(names))


def read_token(path: str | os.PathLike[str]) -> str:
  """Reads a token, or makes a file with a random one.

  Args:
    path: the file; made readable for its owner alone.

  Returns:
    The token.

  Raises:
    UserError: it can't be read or made, others may read it, or the token is too
      short to be a secret.
  """
  path = pathlib.Path(path)
  try:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
  except FileExistsError:
    pass
  except OSError as e:
    raise errors.UserError(
      errors.in_file(path, f'cannot be written: {e.strerror or e}')
    ) from None
  else:
    with os.fdopen(handle, 'w') as file:
      file.write(secrets.token_urlsafe(32) + '\n')
  with user_files.open_file(path, error=errors.UserError) as file:
    content = file.read(_LONGEST + 1)
  token = content.decode('ascii', 'replace').strip()
  if not (
    _SHORTEST <= len(token) <= _LONGEST
    and token.isascii()
    and token.isprintable()
    and ' ' not in token
  ):
    raise errors.UserError(
      errors.in_file(
        path,
        f'holds no token: one line of {_SHORTEST} characters at least, without'
        ' spaces; delete the file to have a random one made',
      )
    )
  if os.name == 'posix' and path.stat().st_mode & 0o077:
    raise errors.UserError(
      errors.in_file(path, 'can be read by others: chmod 600 mends that')
    )
  return token
