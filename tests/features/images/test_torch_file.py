"""Files of PyTorch: tensors are read, and nothing else, and nothing is run."""

import io
import os
import pickle
import stat
import struct
import zipfile

import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.features.images import pickled_tensors
from morning_jax.features.images import torch_file
from tests.features.images import torch_files as made


def written(folder, content, name='weights.pth'):
  path = folder / name
  path.write_bytes(content)
  return path


@pytest.mark.parametrize('path', [made.NEW, made.OLD], ids=['new', 'old'])
def test_what_pytorch_wrote_is_read_number_by_number(path):
  found = torch_file.read(path)
  expected = made.expected()
  assert found.keys() == expected.keys()
  for name, array in expected.items():
    assert found[name].dtype == array.dtype, name
    np.testing.assert_array_equal(found[name], array)
    assert not found[name].flags.writeable


def test_a_file_of_python_2_is_read(tmp_path):
  # As the Places365 files are: strings of bytes, storages with a sixth part.
  of = (
    made.tuple_(
      made.old_text('storage'),
      made.word('torch', 'FloatStorage'),
      made.old_text('61'),
      made.old_text('cuda:0'),
      made.number(4),
      made.NONE,
    )
    + b'Q'
  )
  state = (
    made.ORDERED
    + b'('
    + made.old_text('module.w')
    + made.called(
      made.word('torch._utils', '_rebuild_tensor'),
      of,
      made.number(1),
      made.tuple_(made.number(3)),
      made.tuple_(made.number(1)),
    )
    + b'u'
  )
  value = made.dict_(
    (made.old_text('epoch'), made.number(90)),
    (made.old_text('arch'), made.old_text('resnet18')),
    (made.old_text('state_dict'), state),
  )
  found = torch_file.read(
    written(tmp_path, made.old(value, keys=('61',)), 'places.pth.tar')
  )
  assert list(found) == ['w']
  np.testing.assert_array_equal(found['w'], [2, 3, 4])


def test_files_made_by_hand_are_read(tmp_path):
  for content in (made.zipped(), made.old()):
    found = torch_file.read(written(tmp_path, content))
    np.testing.assert_array_equal(found['w'], [1, 2, 3, 4])
  half = made.tensor(of=made.storage('0', 4, 'BFloat16Storage'))
  content = made.zipped(
    made.dict_((made.text('w'), half)),
    records={'0': struct.pack('<4H', 0x3F80, 0x4000, 0xBF00, 0x0000)},
  )
  found = torch_file.read(written(tmp_path, content))
  np.testing.assert_array_equal(found['w'].astype(np.float32), [1, 2, -0.5, 0])


class _Runs:
  """Makes a file as soon as it is unpickled."""

  def __init__(self, what, *arguments):
    self.what, self.arguments = what, arguments

  def __reduce__(self):
    return self.what, self.arguments


def _evil_values(mark):
  """Name -> the bytes that push something evil; it would make `mark`."""
  command = f'touch {mark}'
  code = f'open({str(mark)!r}, "w")'
  w, text, call = made.word, made.text, made.called
  touch = call(w('posix', 'system'), text(command))
  inside = made.dict_((text('w'), made.tensor()), (text('x'), touch))

  def pickled(value):
    # Without its version and its end.
    return pickle.dumps(value, 4)[2:-1]

  return {
    'os.system': touch,
    'os.system by name of module os': call(w('os', 'system'), text(command)),
    'eval': call(w('builtins', 'eval'), text(code)),
    'eval of Python 2': call(w('__builtin__', 'eval'), text(code)),
    'exec': call(w('builtins', 'exec'), text(code)),
    'getattr': call(w('builtins', 'getattr'), w('os', 'path'), text('x')),
    'import': call(w('builtins', '__import__'), text('os')),
    'subprocess': call(w('subprocess', 'Popen'), text(command)),
    'pty': call(w('pty', 'spawn'), text(command)),
    'runpy': call(w('runpy', '_run_code'), text(code)),
    'code': call(w('types', 'CodeType'), made.number(0)),
    'operator': call(w('operator', 'methodcaller'), text('system')),
    'numpy': call(w('numpy.core.multiarray', 'scalar'), text('x')),
    'torch load': call(w('torch', 'load'), text('/etc/passwd')),
    'torch hub': call(w('torch.hub', 'load'), text('evil/evil')),
    'dotted name': call(
      w('torch._utils', '_rebuild_tensor_v2.__globals__'), text('x')
    ),
    'dotted module': call(w('collections', 'OrderedDict.fromkeys'), text('x')),
    'space in a name': call(
      w('torch._utils _rebuild_tensor_v2', 'x'), text('x')
    ),
    'stack global': call(
      text('posix') + text('system') + b'\x93', text(command)
    ),
    'nested in a dictionary': inside,
    'nested in a state': made.ORDERED + made.dict_((text('x'), touch)) + b'b',
    'nested in an argument': call(
      w('collections', 'OrderedDict'), made.list_(touch)
    ),
    'nested in a storage': made.tuple_(text('storage'), touch) + b'Q',
    'thrown away': touch + b'0' + made.GOOD,
    'in memory': touch + b'q\x000' + made.GOOD,
    'inst': b'(' + text(command) + b'iposix\nsystem\n',
    'obj': b'(' + w('posix', 'system') + text(command) + b'o',
    'newobj': w('posix', 'system') + made.tuple_(text(command)) + b'\x81',
    'newobj_ex': (
      w('posix', 'system') + made.tuple_(text(command)) + b'}' + b'\x92'
    ),
    'extension': b'\x82\x01' + made.tuple_(text(command)) + b'R',
    'build of a class': (
      w('collections', 'OrderedDict')
      + made.dict_((text('x'), text('y')))
      + b'b'
    ),
    'build of a tensor': (
      made.tensor() + made.dict_((text('shape'), made.number(9))) + b'b'
    ),
    'a string is called': call(text('posix.system'), text(command)),
    'a storage type is called': call(
      w('torch', 'FloatStorage'), made.number(1 << 60)
    ),
    'persistent id as text': b'Pstorage\n',
    'buffer': b'\x97',
    'bytes': b'C\x01x',
    'set': b'\x8f',
    'pickled by Python': pickled(_Runs(os.system, command)),
    'pickled in a list': pickled([_Runs(eval, code)]),
  }


@pytest.mark.parametrize('layout', [made.zipped, made.old], ids=['new', 'old'])
@pytest.mark.parametrize('name', _evil_values('x'))
def test_programs_are_refused_and_not_run(tmp_path, name, layout):
  mark = tmp_path / 'was_run'
  path = written(tmp_path, layout(_evil_values(mark)[name]))
  with pytest.raises(torch_file.TorchFileError) as caught:
    torch_file.read(path)
  assert not mark.exists()
  message = str(caught.value)
  assert '\n' not in message and len(message) <= 300, message
  assert message.startswith(f'{path}: is refused: '), message


def test_the_evil_files_are_evil(tmp_path):
  # Python's own reader runs them: the test above would notice it.
  ran = []
  for name in ('os.system', 'eval', 'stack global', 'pickled by Python'):
    mark = tmp_path / name.replace(' ', '_')
    pickle.loads(made.program(_evil_values(mark)[name]))
    ran.append(mark.exists())
  assert ran == [True] * 4


_W = made.text('w')
_HUGE = 1 << 62


@pytest.mark.parametrize(
  ('value', 'words'),
  [
    (made.tensor(shape=(5,)), 'beyond its storage'),
    (made.tensor(offset=1), 'beyond its storage'),
    (made.tensor(strides=(2,)), 'beyond its storage'),
    (made.tensor(offset=_HUGE, shape=(1,)), 'beyond its storage'),
    (made.tensor(shape=(2,), strides=(_HUGE,)), 'beyond its storage'),
    # Many numbers out of one.
    (made.tensor(shape=(1 << 40,), strides=(0,)), 'beyond its storage'),
    (made.tensor(shape=(1 << 31, 1 << 31), strides=(0, 0)), 'beyond'),
    (made.tensor(shape=(2, 2)), 'do not fit its shape'),
    (made.tensor(shape=(1,) * 65, strides=(1,) * 65), 'do not fit its shape'),
    (made.tensor(shape=(-4,)), 'negative'),
    (made.tensor(strides=(-1,)), 'negative'),
    (made.tensor(offset=-1), 'negative'),
    (made.tensor(of=made.storage(size=-4)), 'negative'),
    (made.tensor(of=made.storage('1')), 'lacks the numbers'),
    (made.tensor(of=made.storage('../../0')), 'lacks the numbers'),
    (made.tensor(of=made.storage(size=5)), 'size of its tensor'),
    (made.tensor(of=made.storage(size=_HUGE)), 'size of its tensor'),
    (made.tensor(of=made.storage(kind='DoubleStorage')), 'size of its'),
    (made.tensor(of=made.storage(kind='QInt8Storage')), "'torch.QInt8Sto"),
    (made.tensor(of=made.storage(first='module')), 'no storage'),
    (
      made.tensor(
        of=made.storage(
          '0', 4, 'FloatStorage', made.tuple_(made.text('1'), made.number(2))
        )
      ),
      'parts of others',
    ),
    (made.tensor(of=made.text('x')), 'is broken'),
    (made.number(3), "'w' in it is no tensor"),
    (made.NONE, "'w' in it is no tensor"),
    (made.storage(), "'w' in it is no tensor"),
    (made.list_(made.tensor()), "'w' in it is no tensor"),
    (made.word('torch', 'FloatStorage'), "'w' in it is no tensor"),
  ],
)
def test_tensors_that_can_not_be_are_refused(tmp_path, value, words):
  path = written(tmp_path, made.zipped(made.dict_((_W, value))))
  with pytest.raises(torch_file.TorchFileError, match=words):
    torch_file.read(path)


def _record(name, **attributes):
  record = zipfile.ZipInfo(name)
  for key, value in attributes.items():
    setattr(record, key, value)
  return record


def _bomb():
  """A record of a gigabyte in a megabyte."""
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('x/data.pkl', made.program(made.GOOD))
    archive.writestr('x/data/0', bytes(1 << 26))
  return buffer.getvalue()


def _claimed(content, size):
  """Changes the size that the last directory entry claims."""
  at = content.rindex(b'PK\x01\x02')
  return (
    content[: at + 20] + struct.pack('<II', size, size) + content[at + 28 :]
  )


@pytest.mark.parametrize(
  ('content', 'words'),
  [
    (b'', 'is empty'),
    (b'\n', 'is broken|is refused'),
    (b'<html>404</html>', 'is refused'),
    (b'PK\x03\x04', 'no complete archive'),
    (made.zipped()[:-30], 'no complete archive'),
    (made.zipped()[:300], 'no complete archive'),
    (made.zipped(more=[('x/../../evil', b'x')]), 'path out of it'),
    (made.zipped(more=[('/etc/cron.d/evil', b'x')]), 'path out of it'),
    (made.zipped(more=[('x\\..\\evil', b'x')]), 'path out of it'),
    (
      made.zipped(
        more=[
          (_record('x/l', external_attr=(stat.S_IFLNK | 0o777) << 16), b'/etc')
        ]
      ),
      'a link',
    ),
    (made.zipped(more=[('y/data.pkl', b'x')]), 'not of PyTorch'),
    (made.zipped(compress=zipfile.ZIP_DEFLATED), 'compressed'),
    (_bomb(), 'compressed'),
    (_claimed(made.zipped(more=[('x/last', b'1')]), 1 << 30), 'larger than'),
    (made.zipped().replace(b'little', b'bigger'), 'complete|big-endian'),
    (made.zipped(made.GOOD[:-1]), 'no dictionary'),
    (made.zipped(made.number(3)), 'no dictionary'),
    (made.zipped(made.dict_()), 'no tensors'),
    (made.zipped(made.dict_((made.TRUE, made.NONE))), 'is refused'),
    (made.zipped(b'2' * 3), 'is refused'),
    (made.zipped(b'0' * 3), 'is broken'),
    (made.zipped(b'('), 'is broken'),
    (made.zipped(b'h\x07'), 'is broken'),
    (made.zipped(b'I' + b'9' * 5000 + b'\n'), 'is broken'),
    (made.zipped(b'X\xff\xff\xff\x7f'), 'is broken|too long'),
    (made.zipped(b'\x8d' + b'\xff' * 7 + b'\x7f'), 'is broken|too long'),
    (made.zipped(b'\x8b\xff\xff\xff\x7f'), 'is broken|too long'),
    (made.old()[:-3], 'no complete archive'),
    (made.old()[:40], 'broken|cut off'),
    (made.old(magic=7), 'no file of PyTorch'),
    (made.old(protocol=7), 'unknown version'),
    (made.old(little=made.FALSE), 'big-endian'),
    (made.old(keys=()), 'other storages'),
    (made.old(keys=('0', '0')), 'other storages'),
    (made.old(keys=('0', '1')), 'other storages'),
    (made.old(tail=struct.pack('<q', 5) + bytes(20)), 'size of its tensor'),
    (made.old(tail=struct.pack('<q', -4)), 'size of its tensor'),
    (made.old(tail=struct.pack('<q', 1 << 60)), 'size of its tensor'),
  ],
)
def test_files_that_are_broken_are_refused(tmp_path, content, words):
  path = written(tmp_path, content)
  with pytest.raises(torch_file.TorchFileError, match=words) as caught:
    torch_file.read(path)
  message = str(caught.value)
  assert '\n' not in message and len(message) <= 300
  assert isinstance(caught.value, errors.UserError)
  assert sorted(os.listdir(tmp_path)) == ['weights.pth']


def test_two_records_of_one_name_are_refused(tmp_path):
  with pytest.warns(UserWarning, match='Duplicate name'):
    content = made.zipped(more=[('x/data/0', made.FOUR)])
  with pytest.raises(torch_file.TorchFileError, match='two records'):
    torch_file.read(written(tmp_path, content))


def test_one_storage_of_two_kinds_is_refused(tmp_path):
  other = made.tensor(of=made.storage('0', 4, 'IntStorage'))
  value = made.dict_((_W, made.tensor()), (made.text('v'), other))
  with pytest.raises(torch_file.TorchFileError, match='two things'):
    torch_file.read(written(tmp_path, made.zipped(value)))


def test_a_pickle_that_never_ends_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(pickled_tensors, 'MAX_BYTES', 1000)
  path = written(tmp_path, made.zipped(b'N0' * 600 + made.GOOD))
  with pytest.raises(
    torch_file.TorchFileError, match=r'cut off|too long|broken'
  ):
    torch_file.read(path)
  monkeypatch.undo()
  monkeypatch.setattr(pickled_tensors, '_MAX_INSTRUCTIONS', 1000)
  with pytest.raises(torch_file.TorchFileError, match='too long'):
    torch_file.read(path)


def test_many_tensors_of_one_storage_take_the_memory_of_one(tmp_path):
  pairs = [(made.text(f'w{i}'), made.tensor()) for i in range(50)]
  found = torch_file.read(written(tmp_path, made.zipped(made.dict_(*pairs))))
  assert len(found) == 50
  first, *others = found.values()
  assert all(np.shares_memory(first, other) for other in others)


def test_what_is_no_file_is_refused(tmp_path):
  os.mkfifo(tmp_path / 'pipe')
  (tmp_path / 'link').symlink_to('nowhere')
  for name in ('pipe', 'link', '', 'absent'):
    with pytest.raises(torch_file.TorchFileError):
      torch_file.read(tmp_path / name)
