"""Which operation of a compiled program (HLO) costs most.

What an operation costs is read off its own line: the bytes of its operands and
results that are not in on-chip memory, and, of a product, the operations of
its factors' shapes. Both name where to look; the totals come from the
compiler, where it counts.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import math
import re

from morning_jax.training.aot import hlo

_LINE = re.compile(
  r'^\s+(?:ROOT )?%(?P<name>[\w.\-]+) = (?P<result>.*?) (?P<kind>[\w\-]+)'
  r'\((?P<operands>[^)]*)'
)
# An array whose layout says S(1) lies in on-chip memory.
_ARRAY = re.compile(r'\b([a-z]+\d+|pred)\[([\d,]*)\](\{[^}]*\})?')
_SOURCE = re.compile(r'op_name="([^"]*)"')
_FUSED = re.compile(r' fusion\(.*calls=%([\w.\-]+)|to_apply=%([\w.\-]+)')
# These move nothing of their own; what asynchronous ones start is counted in
# the computation that they call.
_FREE = frozenset(
  {
    'after-all',
    'async-start',
    'async-update',
    'bitcast',
    'call',
    'conditional',
    'constant',
    'get-tuple-element',
    'iota',
    'parameter',
    'partition-id',
    'tuple',
    'while',
  }
)
_PARTIAL = ('gather', 'slice')
_SLICES = frozenset({'dynamic-slice', 'gather', 'slice'})
_ASYNCHRONOUS = re.compile(
  r'%(?P<name>[\w.\-]+) = .* async-start\(.*calls=%(?P<called>[\w.\-]+).*'
)
_CALLS = re.compile(r'calls=%([\w.\-]+)')
_NAME = re.compile(r'%([\w.\-]+)')
_NUMBER = re.compile(r' parameter\((\d+)\)')


@dataclasses.dataclass(frozen=True)
class Operation:
  """One operation of a program.

  Attributes:
    name: in the program, with the function that it came from.
    bytes: to and from memory, in all its runs of a step.
    flops: of products, in all its runs of a step.
  """

  name: str
  bytes: float
  flops: float


def _sizes(text: str, *, off_chip: bool) -> list[int]:
  return [
    hlo.size_of(dtype, shape)
    for dtype, shape, layout in _ARRAY.findall(text)
    if not (off_chip and 'S(1)' in layout)
  ]


def _elements(text: str) -> float:
  found = _ARRAY.search(text)
  if not found:
    return 0.0
  return float(math.prod(int(x) for x in found[2].split(',') if x))


@dataclasses.dataclass(frozen=True)
class _Computation:
  """The lines of a computation.

  Attributes:
    lines: what `_LINE` found in each.
    results: name -> what it says of the result.
    parameters: names, by number.
  """

  lines: list[re.Match[str]]
  results: dict[str, str]
  parameters: dict[int, str]


def _parse(lines: list[str]) -> _Computation:
  found = [m for line in lines if (m := _LINE.match(line))]
  return _Computation(
    lines=found,
    results={m['name']: m['result'] for m in found},
    parameters={
      int(number[1]): m['name']
      for m in found
      if (number := _NUMBER.search(m.string))
    },
  )


def _read_of(
  computations: dict[str, _Computation], name: str, number: int, size: int
) -> int:
  """Returns how many bytes a fused computation reads of a parameter.

  Args:
    computations: all, by name.
    name: of the fused one.
    number: of the parameter.
    size: bytes of all of it.

  Returns:
    Those of the slices that are taken of it, or all of them where it is used
    in another way.
  """
  computation = computations.get(name)
  if computation is None or number not in computation.parameters:
    return size
  parameter, read = computation.parameters[number], 0
  for match in computation.lines:
    operands = _NAME.findall(match['operands'])
    if parameter not in operands:
      continue
    kind, called = match['kind'], _CALLS.search(match.string)
    if kind in _SLICES and operands.index(parameter) == 0:
      read += sum(_sizes(match['result'], off_chip=False))
    elif kind == 'fusion' and called:
      for i, operand in enumerate(operands):
        if operand == parameter:
          read += _read_of(computations, called[1], i, size)
    else:
      return size
  return min(read, size)


def operations(text: str) -> Iterator[Operation]:
  """Lists the operations of a program.

  Args:
    text: of the compiled program.

  Yields:
    Operations that move or compute something; products inside of a fused
    operation by themselves, without bytes.
  """
  by_computation = hlo.by_computation(text)
  times = hlo.times_of(by_computation)
  computations = {k: _parse(lines) for k, lines in by_computation.items()}
  fused = {
    name
    for match in _FUSED.finditer(text)
    for name in match.groups()
    if name is not None
  }
  started = {m['called']: m for m in _ASYNCHRONOUS.finditer(text)}
  for computation, parsed in computations.items():
    results = parsed.results
    for match in parsed.lines:
      kind = match['kind']
      if kind in _FREE or kind.endswith('-done'):
        continue
      # What is started has no name of its own on TPUs.
      named = started.get(computation, match)
      source = _SOURCE.search(named.string if named is match else named[0])
      names = _NAME.findall(match['operands'])
      operands = [results[name] for name in names if name in results]
      flops = 0.0
      if kind in ('dot', 'convolution') and len(operands) == 2:
        # [m, k] x [k, n] -> [m, n]: the product of all three is (m k n)^2.
        shapes = [_elements(x) for x in (*operands, match['result'])]
        flops = 2 * math.sqrt(math.prod(shapes))
      moved = 0
      if computation not in fused:
        made = sum(_sizes(match['result'], off_chip=True))
        whole = sum(_sizes(match['result'], off_chip=False))
        origin = f'{kind} {named["name"]} {source[1] if source else ""}'
        part = any(word in origin.rpartition('/')[2] for word in _PARTIAL)
        called = _CALLS.search(match.string)
        moved = made
        # Of these the result names the operands too.
        again = kind.endswith('-start') and kind != 'all-reduce-start'
        for i, name in enumerate(names if not again else ()):
          for size in _sizes(results.get(name, ''), off_chip=True):
            if called and kind == 'fusion':
              size = _read_of(computations, called[1], i, size)
            moved += min(size, whole) if part else size
      if moved or flops:
        function = source[1].rpartition(')/')[2] if source else ''
        yield Operation(
          name=f'{named["name"]} ({function or kind})',
          bytes=float(moved * times[computation]),
          flops=flops * times[computation],
        )
