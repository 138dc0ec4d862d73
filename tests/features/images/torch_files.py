"""Files of PyTorch for tests: real ones, and ones put together by hand.

`python -m tests.features.images.torch_files` rewrites the real ones with
PyTorch, which must be installed for it (2.14.1 was). The tests need none.
"""

import io
import pathlib
import struct
import zipfile

import numpy as np

FOLDER = pathlib.Path(__file__).parents[2] / 'files'
NEW, OLD = FOLDER / 'torch_new.pth', FOLDER / 'torch_old.pth.tar'
MAGIC = 0x1950A86A20F9469CFC6C


def expected():
  """What the real files hold, by name."""
  whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7
  return {
    'whole': whole,
    'turned': whole.transpose(2, 0, 1),
    'part': whole.reshape(-1)[5:11:2],
    'nothing': np.zeros((0, 3), np.float32),
    'one': np.float32(2.5).reshape(()),
    'double': np.array([1e-300, np.pi]),
    'half': np.array([0.5, 65504.0], np.float16),
    'count': np.array([[-(2**62), 7]]),
    'small': np.array([-3, 0, 120], np.int8),
    'flags': np.array([True, False]),
    'parameter': np.array([1.5, -1.5], np.float32),
  }


# ---- pickles by hand: each function returns the bytes that push a value


def word(module, name):
  return f'c{module}\n{name}\n'.encode()


def text(value):
  data = value.encode()
  return b'X' + struct.pack('<I', len(data)) + data


def old_text(value):
  """As Python 2 writes it."""
  return b'U' + bytes([len(value)]) + value.encode()


def number(value):
  if 0 <= value < 1 << 31:
    return b'J' + struct.pack('<i', value)
  length = value.bit_length() // 8 + 1
  data = value.to_bytes(length, 'little', signed=True)
  return b'\x8a' + bytes([length]) + data


def tuple_(*values):
  return b'(' + b''.join(values) + b't'


def list_(*values):
  return b'](' + b''.join(values) + b'e'


def dict_(*pairs):
  return b'}(' + b''.join(k + v for k, v in pairs) + b'u'


def called(what, *values):
  return what + tuple_(*values) + b'R'


NONE, TRUE, FALSE = b'N', b'\x88', b'\x89'
ORDERED = called(word('collections', 'OrderedDict'))


def storage(key='0', size=4, kind='FloatStorage', *more, first='storage'):
  return (
    tuple_(
      text(first),
      word('torch', kind),
      text(key),
      text('cuda:0'),
      number(size),
      *more,
    )
    + b'Q'
  )


def tensor(offset=0, shape=(4,), strides=(1,), of=None):
  return called(
    word('torch._utils', '_rebuild_tensor_v2'),
    of or storage(),
    number(offset),
    tuple_(*map(number, shape)),
    tuple_(*map(number, strides)),
    FALSE,
    ORDERED,
  )


def program(value):
  return b'\x80\x02' + value + b'.'


GOOD = dict_((text('w'), tensor()))
FOUR = struct.pack('<4f', 1, 2, 3, 4)


def zipped(value=GOOD, *, records=None, compress=zipfile.ZIP_STORED, more=()):
  """A file of the new layout, as bytes.

  Args:
    value: the bytes that push what the file holds.
    records: name -> content, of storages.
    compress: how records are stored.
    more: further (name or ZipInfo, content) records.
  """
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', compress) as archive:
    archive.writestr('x/data.pkl', program(value))
    archive.writestr('x/byteorder', 'little')
    for name, content in ({'0': FOUR} if records is None else records).items():
      archive.writestr(f'x/data/{name}', content)
    for name, content in more:
      archive.writestr(name, content)
  return buffer.getvalue()


def old(
  value=GOOD, *, keys=('0',), magic=MAGIC, protocol=1001, little=TRUE, tail=None
):
  """A file of the old layout, as bytes."""
  system = dict_((old_text('little_endian'), little))
  return b''.join(
    [
      program(number(magic)),
      program(number(protocol)),
      program(system),
      program(value),
      program(list_(*map(old_text, keys))),
      struct.pack('<q', 4) + FOUR if tail is None else tail,
    ]
  )


def main():
  import collections

  import torch

  whole = torch.tensor(expected()['whole'])
  state = collections.OrderedDict(
    whole=whole,
    turned=whole.permute(2, 0, 1),
    part=whole.reshape(-1)[5:11:2],
    nothing=torch.zeros(0, 3),
    one=torch.tensor(2.5),
    parameter=torch.nn.Parameter(torch.tensor([1.5, -1.5])),
  )
  for name in ('double', 'half', 'count', 'small', 'flags'):
    state[name] = torch.tensor(expected()[name])
  state._metadata = {'': {'version': 1}}
  torch.save(state, NEW)
  checkpoint = {
    'epoch': 90,
    'arch': 'resnet18',
    'state_dict': collections.OrderedDict(
      (f'module.{name}', value) for name, value in state.items()
    ),
    'best_prec1': torch.tensor(54.5),
    'optimizer': {'state': {0: {'momentum': torch.ones(5)}}, 'groups': [1e-3]},
  }
  torch.save(checkpoint, OLD, _use_new_zipfile_serialization=False)


if __name__ == '__main__':
  main()
