"""The tensors that a pickle of PyTorch describes, and nothing else.

A pickle is a program: Python's own reader imports and calls what it names. Here
it is read by a machine of its own, which knows the few instructions that
dictionaries of tensors need, and which has no way to import or call anything.
What a pickle names is a word to it; a few words have a meaning, all others end
the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import math

# Splits a pickle into its instructions, and does not carry them out.
import pickletools
from typing import IO, Any, cast

import ml_dtypes
import numpy as np

MAX_BYTES = 1 << 26  # of a pickle: the tensors themselves lie elsewhere
_MAX_INSTRUCTIONS = 4_000_000
_MAX_DIMENSIONS = 8

_DTYPES = {
  'FloatStorage': np.dtype('<f4'),
  'DoubleStorage': np.dtype('<f8'),
  'HalfStorage': np.dtype('<f2'),
  'BFloat16Storage': np.dtype(ml_dtypes.bfloat16),
  'LongStorage': np.dtype('<i8'),
  'IntStorage': np.dtype('<i4'),
  'ShortStorage': np.dtype('<i2'),
  'CharStorage': np.dtype('i1'),
  'ByteStorage': np.dtype('u1'),
  'BoolStorage': np.dtype('?'),
}


class Refused(Exception):
  """The pickle holds something else than tensors; the text says what."""


@dataclasses.dataclass(frozen=True)
class Storage:
  """Numbers in a row that tensors are cut out of.

  Attributes:
    key: which record of the file they are.
    dtype: of each.
    size: how many.
  """

  key: str
  dtype: np.dtype
  size: int


@dataclasses.dataclass(frozen=True)
class Tensor:
  """A tensor as a pickle describes it: inside its storage, checked.

  Attributes:
    storage: where its numbers lie.
    offset: of the first one.
    shape: of the tensor; not more numbers than the storage has.
    strides: numbers from one to the next along each dimension.
  """

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Word:
  """What a pickle names: `module.name`. It is never looked up."""

  name: str


class _Mark:
  """Where a list of arguments begins on the stack."""


class _Bounded:
  """The beginning of a file, of which a pickle may read so much and no more."""

  def __init__(self, file: IO[bytes]) -> None:
    self._file = file
    self._left = MAX_BYTES

  def read(self, size: int) -> bytes:
    """Reads bytes."""
    if size > self._left:
      raise Refused('its pickle is too long')
    content = self._file.read(size)
    self._left -= len(content)
    return content

  def readline(self) -> bytes:
    """Reads up to the end of a line."""
    content = self._file.readline(min(self._left, 1 << 16))
    self._left -= len(content)
    return content


def read(file: IO[bytes], storages: list[Storage] | None = None) -> Any:
  """Reads one pickle.

  Args:
    file: open where the pickle begins; stands behind it afterwards.
    storages: takes every storage that is referred to, if given.

  Returns:
    None, booleans, numbers, strings, lists, tuples and dictionaries of them,
    `Storage`s and `Tensor`s.

  Raises:
    Refused: the pickle is broken, or holds anything else.
  """
  machine = _Machine([] if storages is None else storages)
  try:
    for count, (name, argument) in enumerate(_instructions(file)):
      if count >= _MAX_INSTRUCTIONS:
        raise Refused('its pickle is too long')
      if name == 'STOP':
        return machine.pop()
      machine.step(name, argument)
  except (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
  ) as e:
    raise Refused(f'its pickle is broken ({type(e).__name__})') from None
  raise Refused('its pickle is cut off')


def _instructions(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
  for code, argument, _ in pickletools.genops(cast(IO[bytes], _Bounded(file))):
    yield code.name, argument


class _Machine:
  """The stack and the memory of a pickle that is read."""

  def __init__(self, storages: list[Storage]) -> None:
    self._storages = storages
    self._stack: list[Any] = []
    self._memory: dict[int, Any] = {}

  def pop(self) -> Any:
    """Takes the topmost value."""
    value = self._stack.pop()
    if value is _Mark:
      raise ValueError('a mark is no value')
    return value

  def _to_mark(self) -> list[Any]:
    """Takes the values above the topmost mark, and the mark."""
    values = []
    while (value := self._stack.pop()) is not _Mark:
      values.append(value)
    return values[::-1]

  def step(self, name: str, argument: Any) -> None:
    """Carries out one instruction.

    Raises:
      Refused: it is none of those that are known here.
    """
    push = self._stack.append
    if name in _CONSTANTS:
      push(_CONSTANTS[name])
    elif name in _LITERALS:
      push(argument)
    elif name in ('EMPTY_DICT', 'EMPTY_LIST'):
      push({} if name == 'EMPTY_DICT' else [])
    elif name == 'MARK':
      push(_Mark)
    elif name in ('TUPLE', 'LIST'):
      values = self._to_mark()
      push(tuple(values) if name == 'TUPLE' else values)
    elif name in _TUPLES:
      push(tuple([self.pop() for _ in range(_TUPLES[name])][::-1]))
    elif name in ('DICT', 'SETITEMS'):
      values = self._to_mark()
      if name == 'DICT':
        push({})
      self._set(values)
    elif name == 'SETITEM':
      value, key = self.pop(), self.pop()
      self._set([key, value])
    elif name in ('APPEND', 'APPENDS'):
      values = [self.pop()] if name == 'APPEND' else self._to_mark()
      _of_type(self._stack[-1], list).extend(values)
    elif name in ('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
      place = len(self._memory) if argument is None else argument
      self._memory[place] = self._stack[-1]
    elif name in ('GET', 'BINGET', 'LONG_BINGET'):
      push(self._memory[argument])
    elif name == 'POP':
      self._stack.pop()
    elif name == 'POP_MARK':
      self._to_mark()
    elif name == 'GLOBAL':
      push(_known(argument.replace(' ', '.', 1)))
    elif name == 'STACK_GLOBAL':
      last, first = self.pop(), self.pop()
      push(_known(f'{_of_type(first, str)}.{_of_type(last, str)}'))
    elif name == 'BINPERSID':
      self._storages.append(_storage(self.pop()))
      push(self._storages[-1])
    elif name == 'REDUCE':
      arguments, word = self.pop(), self.pop()
      push(_made(word, _of_type(arguments, tuple)))
    elif name == 'BUILD':
      # Of a dictionary of tensors, its versions: nothing that is needed.
      self.pop()
      _of_type(self._stack[-1], dict)
    elif name not in ('PROTO', 'FRAME'):
      raise Refused(f'its pickle has the instruction {name}')

  def _set(self, values: list[Any]) -> None:
    table = _of_type(self._stack[-1], dict)
    for key, value in zip(values[::2], values[1::2], strict=True):
      if not isinstance(key, str | int):
        raise Refused('its pickle has a key that is no text')
      table[key] = value


_CONSTANTS = {
  'NONE': None,
  'NEWTRUE': True,
  'NEWFALSE': False,
  'EMPTY_TUPLE': (),
}
_LITERALS = (
  *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4'),
  *('FLOAT', 'BINFLOAT', 'STRING', 'BINSTRING', 'SHORT_BINSTRING'),
  *('UNICODE', 'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8'),
)
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}


def _of_type(value: Any, kind: type) -> Any:
  if type(value) is not kind:
    raise ValueError(f'{type(value)} is not {kind}')
  return value


def _whole(value: Any) -> int:
  """Returns a whole number of at least 0."""
  if _of_type(value, int) < 0:
    raise Refused('its pickle has a negative size')
  return int(value)


def _known(name: str) -> _Word:
  module, _, last = name.rpartition('.')
  if name in _MEANINGS or (module == 'torch' and last in _DTYPES):
    return _Word(name)
  raise Refused(f'its pickle calls for {name!r:.80}, and only tensors are read')


def _made(word: Any, arguments: tuple[Any, ...]) -> Any:
  """Returns what a word makes of arguments; words are not called."""
  if type(word) is not _Word or word.name not in _MEANINGS:
    raise Refused('its pickle calls something that is no function')
  return _MEANINGS[word.name](arguments)


def _storage(identity: Any) -> Storage:
  """Returns the storage that a persistent id tells of."""
  values = _of_type(identity, tuple)
  if len(values) not in (5, 6) or values[0] != 'storage':
    raise Refused('its pickle refers to something that is no storage')
  # Newer files have five parts; the last of six cuts a part out of a storage.
  if len(values) == 6 and values[5] is not None:
    raise Refused('it has storages that are parts of others')
  word = _of_type(values[1], _Word)
  dtype = _DTYPES[word.name.removeprefix('torch.')]
  return Storage(_of_type(values[2], str), dtype, _whole(values[4]))


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
  if not arguments:
    return {}
  (pairs,) = arguments
  table = {}
  for pair in _of_type(pairs, list):
    key, value = pair
    table[_of_type(key, str)] = value
  return table


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
  storage, offset, shape, strides, *_ = arguments
  storage, offset = _of_type(storage, Storage), _whole(offset)
  shape = tuple(_whole(n) for n in _of_type(shape, tuple))
  strides = tuple(_whole(n) for n in _of_type(strides, tuple))
  if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
    raise Refused('it has a tensor whose strides do not fit its shape')
  last = offset + sum(
    (n - 1) * stride for n, stride in zip(shape, strides, strict=True)
  )
  numbers = math.prod(shape)
  if numbers > storage.size or (numbers and last >= storage.size):
    raise Refused('it has a tensor that reaches beyond its storage')
  return Tensor(storage, offset, shape, strides)


def _parameter(arguments: tuple[Any, ...]) -> Tensor:
  tensor: Tensor = _of_type(arguments[0], Tensor)
  return tensor


_MEANINGS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
  'collections.OrderedDict': _ordered_dict,
  'torch._utils._rebuild_tensor': _tensor,
  'torch._utils._rebuild_tensor_v2': _tensor,
  'torch._utils._rebuild_parameter': _parameter,
}
