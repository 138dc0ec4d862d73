"""Reads collectives out of the text of a compiled program (HLO)."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
import re

KINDS = (
  'all-reduce',
  'all-gather',
  'reduce-scatter',
  'all-to-all',
  'ragged-all-to-all',
  'collective-permute',
)

_COMPUTATION = re.compile(r'^(?:ENTRY )?%([\w.\-]+) \(.*\{\s*$')
_OPERATION = re.compile(
  r'^\s+(?:ROOT )?%[\w.\-]+ = (?P<result>.*?) (?P<kind>'
  + '|'.join(KINDS)
  + r')(?P<start>-start)?\(.*'
)
_WHILE = re.compile(
  r' while\(.*condition=%(?P<condition>[\w.\-]+), body=%(?P<body>[\w.\-]+)'
)
_CALLED = re.compile(r'(?:calls|to_apply|body|condition)=%([\w.\-]+)')
_TRIPS = re.compile(r'known_trip_count\D+(\d+)')
_CONSTANT = re.compile(r' [su]32\[\]\S* constant\((\d+)\)')
_ARRAY = re.compile(r'\b([a-z]+\d*\w*)\[([\d,]*)\]')
_CHANNEL = re.compile(r'channel_id=(\d+)')


@dataclasses.dataclass(frozen=True)
class Collective:
  """One collective operation of a program.

  Attributes:
    kind: one of `KINDS`.
    shapes: what it yields on each device, as text.
    bytes: size of that.
    devices: how many devices take part in each group.
    times: how often a step runs it (loops).
  """

  kind: str
  shapes: str
  bytes: int
  devices: int
  times: int

  @property
  def bytes_sent(self) -> float:
    """Bytes that each device sends in a step, by ring algorithms."""
    n = max(self.devices, 1)
    factor = {
      'all-reduce': 2 * (n - 1) / n,
      'all-gather': (n - 1) / n,
      'reduce-scatter': n - 1,
      'all-to-all': (n - 1) / n,
      # The receiver's buffer, which is no larger than what is wanted.
      'ragged-all-to-all': (n - 1) / n,
      'collective-permute': 1,
    }[self.kind]
    return factor * self.bytes * self.times


def _bits(dtype: str) -> int:
  if dtype == 'pred':
    return 8
  digits = re.search(r'\d+', dtype)
  return int(digits.group()) if digits else 0


def size_of(dtype: str, shape: str) -> int:
  """Returns the bytes of an array, 'f32' and '4,8'."""
  count = math.prod(int(x) for x in shape.split(',') if x)
  return -(-count * _bits(dtype) // 8)


def _devices(line: str, num_devices: int) -> int:
  """Returns the size of a collective's groups."""
  groups = re.search(r'replica_groups=(.*)', line)
  if not groups:
    return num_devices
  text = groups.group(1)
  if text.startswith('mesh['):
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", text.split(']')[0]))
    named = re.search(r'\] \{(.*?)\}', text)
    axes = re.findall(r"'(\w+)'", named.group(1)) if named else []
    return math.prod(int(sizes[a]) for a in axes if a in sizes)
  listed = re.match(r'\{\{([\d,]+)\}', text)
  if listed:
    return len(listed.group(1).split(','))
  tiled = re.match(r'\[\d+,(\d+)\]<=', text)
  return int(tiled.group(1)) if tiled else num_devices


def by_computation(text: str) -> dict[str, list[str]]:
  """Returns the lines of each computation of a program."""
  computations: dict[str, list[str]] = {}
  lines: list[str] = []
  for line in text.splitlines():
    header = _COMPUTATION.match(line)
    if header:
      lines = computations.setdefault(header.group(1), [])
    else:
      lines.append(line)
  return computations


def times_of(computations: Mapping[str, list[str]]) -> dict[str, int]:
  """Returns how often each computation runs, inside loops of known length."""
  callers: dict[str, list[tuple[str, int]]] = {}
  for name, lines in computations.items():
    for line in lines:
      loop = _WHILE.search(line)
      trips = 1
      if loop:
        known = _TRIPS.search(line)
        bounds = _CONSTANT.findall(
          '\n'.join(computations.get(loop['condition'], ()))
        )
        trips = int(known[1]) if known else max(map(int, bounds), default=1)
      for called in _CALLED.findall(line):
        callers.setdefault(called, []).append((name, trips))

  def times(name: str) -> int:
    return max((times(c) * t for c, t in callers.get(name, ())), default=1)

  return {name: times(name) for name in computations}


def collectives(text: str, *, num_devices: int) -> list[Collective]:
  """Lists the collectives of a program.

  Args:
    text: of the compiled program.
    num_devices: devices of the program.

  Returns:
    Each collective, in the order of the text. One that the compiler cut into
    pieces to overlap it with other work is listed once.
  """
  computations = by_computation(text)
  times = times_of(computations)
  found = []
  cut = set()
  for name, lines in computations.items():
    for line in lines:
      operation = _OPERATION.match(line)
      if not operation:
        continue
      kind, channel = operation['kind'], _CHANNEL.search(line)
      arrays = _ARRAY.findall(operation['result'])
      if operation['start'] and kind != 'all-reduce':
        arrays = arrays[1:2]  # (operand, result, ...)
      shapes = ', '.join(f'{d}[{s}]' for d, s in arrays)
      if 'chain_id' in line:
        piece = (kind, shapes, channel and channel[1])
        if piece in cut:
          continue
        cut.add(piece)
      found.append(
        Collective(
          kind=kind,
          shapes=shapes,
          bytes=sum(size_of(*a) for a in arrays),
          devices=(
            2 if kind == 'collective-permute' else _devices(line, num_devices)
          ),
          times=times[name],
        )
      )
  return found
