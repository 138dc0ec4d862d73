"""Joins this process with others, where flags or the machine say so.

A Cloud TPU VM needs no flag: JAX finds the other workers of its slice.
Elsewhere three flags, or the environment variables named after them, say where
the first process is, how many there are and which one this is.
"""

from __future__ import annotations

import os

from absl import flags
import jax

from launch import devices
from launch import supervised
from morning_jax.core import errors

_WITH = flags.DEFINE_enum(
  'distributed',
  'auto',
  ('auto', 'on', 'off'),
  'Whether to join other processes. auto: on a Cloud TPU VM, and where the'
  ' flags below say how; on: let JAX find out how (Slurm, MPI, Kubernetes).',
)
_ADDRESS = flags.DEFINE_string(
  'coordinator_address',
  None,
  'HOST:PORT of the first process; JAX_COORDINATOR_ADDRESS if unset.',
)
_COUNT = flags.DEFINE_integer(
  'num_processes',
  None,
  'How many processes there are; JAX_NUM_PROCESSES if unset.',
)
_INDEX = flags.DEFINE_integer(
  'process_id', None, 'Which one this is, from 0; JAX_PROCESS_ID if unset.'
)

# What a process that leaves early waits for the others, and how long a silent
# one is believed to be alive.
_SHUTDOWN_SECONDS = 30
_HEARTBEAT_SECONDS = 60
_MOST = 2**20  # processes


def _number(flag: flags.FlagHolder, variable: str) -> int | None:
  text = os.environ.get(variable)
  if flag.value is not None or text is None:
    return flag.value
  try:
    return int(text)
  except ValueError:
    raise errors.UserError(f'{variable}={text}: is no number') from None


def _on_tpu_vm() -> bool:
  platforms = os.environ.get('JAX_PLATFORMS', '')
  return (not platforms or 'tpu' in platforms) and devices.has_tpu()


def join() -> None:
  """Starts `jax.distributed` where there are other processes to join.

  Must run before JAX computes anything. Where there are others, the command is
  run once more, as the child of a supervisor: see `launch/supervisor.py`.

  Raises:
    UserError: only a part of what is needed is given.
    TransientError: the others can't be reached, late or dead as they are.
  """
  if _WITH.value == 'off':
    return
  address = _ADDRESS.value or os.environ.get('JAX_COORDINATOR_ADDRESS')
  count = _number(_COUNT, 'JAX_NUM_PROCESSES')
  index = _number(_INDEX, 'JAX_PROCESS_ID')
  given = {
    'coordinator_address': address,
    'num_processes': count,
    'process_id': index,
  }
  missing = [name for name, value in given.items() if value is None]
  if _WITH.value == 'auto' and 0 < len(missing) < 3:
    raise errors.UserError(
      f'several processes need --{" and --".join(missing)} too'
    )
  explicit = address is not None and count is not None and index is not None
  if address is not None and count is not None and index is not None:
    _check(address, count, index)
  elif _WITH.value == 'auto' and not _on_tpu_vm():
    return
  if count != 1:
    supervised.start()
  try:
    jax.distributed.initialize(
      coordinator_address=address,
      num_processes=count,
      process_id=index,
      cluster_detection_method='deactivate' if explicit else None,
      heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
      shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
    )
  except (ValueError, RuntimeError) as e:
    if _WITH.value == 'auto' and not explicit and 'should be defined' in str(e):
      return  # a TPU without a slice around it
    error = (
      errors.UserError if isinstance(e, ValueError) else errors.TransientError
    )
    raise error(
      f'can not join the other processes: {str(e).splitlines()[0]};'
      ' --distributed=off runs alone'
    ) from None
  supervised.joined(address.rpartition(':')[0].strip('[]') if address else None)


def _check(address: str, count: int, index: int) -> None:
  host, _, port = address.rpartition(':')
  is_number = port.isascii() and port.isdecimal() and len(port) < 6
  if not (host and is_number and 0 < int(port) < 1 << 16):
    raise errors.UserError(f'--coordinator_address={address}: is not HOST:PORT')
  if not 1 <= count <= _MOST:
    raise errors.UserError(f'--num_processes={count}: is not in 1..{_MOST}')
  if not 0 <= index < count:
    raise errors.UserError(
      f'--process_id={index} is not in 0..{count - 1} (--num_processes={count})'
    )
