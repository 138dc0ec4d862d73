"""Runs one of several processes, and ends it when another one is gone.

When a process dies, the computation that it shares with the others can't go on.
JAX then aborts the others in C++ after half a minute or more, with pages of
text, and Python can neither catch that nor tell which process it was. So a
parent that knows nothing of JAX runs the work as its child. The parents are
connected: the end of one, or of its machine, is seen by all, who end their
children and say in one line who is gone.

The lines that JAX's C++ writes are held back for some seconds, and dropped if
they turn out to be about another process's end. What Python writes goes to the
user directly.

Usage, from `launch/supervised.py` alone: python -I supervisor.py COMMAND ...
Only the standard library is imported here: it runs beside the work all along.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Any, NoReturn

VARIABLE = 'MORNING_JAX_SUPERVISOR'  # tells the child what it needs
TRY_AGAIN = 75
MISTAKE = 2
# How long the end of a child may be the first sign of another one's.
NEWS_SECONDS = 5.0
# How long a child may take to end by itself, when all end for one reason.
GRACE_SECONDS = 10.0
# How long a line of C++ is held back.
_HOLD_SECONDS = 10.0
_MOST_HELD = 1 << 20  # bytes
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# What JAX writes before it aborts, and how it names the processes that it lost.
_OF_JAX = re.compile(rb'distributed service detected fatal errors')
_TASK = re.compile(rb'/task:(\d+)')


class Wire:
  """A connection that carries JSON objects, one a line."""

  def __init__(self, connection: socket.socket):
    self.socket = connection
    self._rest = b''

  def send(self, **message: Any) -> None:
    """Sends a message; one to somebody who is gone is lost."""
    with contextlib.suppress(OSError):
      self.socket.sendall(json.dumps(message).encode() + b'\n')

  def receive(self) -> tuple[list[dict[str, Any]], bool]:
    """Returns what has arrived, and whether the other end is closed."""
    try:
      data = self.socket.recv(1 << 16)
    except OSError:
      data = b''
    *lines, self._rest = (self._rest + data).split(b'\n')
    try:
      return [dict(json.loads(line)) for line in lines], not data
    except (ValueError, TypeError):
      return [], True  # nobody that belongs here


def keep_alive(connection: socket.socket) -> None:
  """Has a machine that went silent count as gone after 25 seconds."""
  connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
  for name, value in (
    ('TCP_KEEPIDLE', 10),
    ('TCP_KEEPINTVL', 5),
    ('TCP_KEEPCNT', 3),
  ):
    if hasattr(socket, name):
      connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Supervisor:
  """The parent of one process."""

  def __init__(self, command: list[str]):
    """Starts the process."""
    self._selector = selectors.DefaultSelector()
    self._server = socket.create_server(('', 0))
    self._token = secrets.token_hex(16)
    own, childs = socket.socketpair()
    reader, writer = os.pipe()
    wake, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    self._waker = waker
    for number in (*_PASSED_ON, signal.SIGCHLD):
      if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, lambda *_: None)  # the byte in `wake` tells
    user = os.dup(2)
    told = {
      'control': childs.fileno(),
      'stderr': user,
      'port': self._server.getsockname()[1],
      'token': self._token,
    }
    self._child = subprocess.Popen(
      command,
      env={**os.environ, VARIABLE: json.dumps(told)},
      stderr=writer,
      pass_fds=(childs.fileno(), user),
    )
    childs.close()
    os.close(writer)
    os.close(user)
    self._control = Wire(own)
    self._stderr, self._wake = reader, wake
    self._held: list[tuple[float, bytes]] = []
    self._index, self._count = 0, 1
    self._wires: dict[Wire, int] = {}  # to other parents, and their numbers
    self._said = ''  # the child's own line about its end
    self._said_code: int | None = None  # and the code that goes with it
    self._is_failing = False  # it met an error that may be another one's end
    self._gone: dict[str, Any] | None = None  # the first other one that went
    for source in (own, wake, self._server):
      self._selector.register(source, selectors.EVENT_READ)
    self._selector.register(reader, selectors.EVENT_READ)

  def run(self) -> int:
    """Waits for the end; returns the exit code, having said why."""
    heard = None
    while self._child.poll() is None:
      if self._gone and heard is None:
        heard = time.monotonic()
      if heard is not None and time.monotonic() >= heard + self._grace():
        self._child.kill()
        self._child.wait()
        if not self._said:
          os.write(2, b'\n')  # it may have been at a progress bar
        break
      self._take_in(0.5)
    code = self._child.returncode
    self._take_in(0)
    if code == -signal.SIGABRT and not self._gone:
      self._wait_for_news()
      if not self._gone and (hangs := self._named_by_jax()):
        self._lose(None, gone=hangs, code=None, said='')
    if not code:
      self._tell(ended=self._index)
    elif not self._gone:
      self._tell(gone=self._index, code=code, said=self._said)
    return self._verdict(code)

  def _grace(self) -> float:
    """How long the child may live on once another one is gone."""
    assert self._gone
    # It may have met the same, and be about to say so.
    together = self._gone['code'] in (MISTAKE, TRY_AGAIN)
    waits_for_news = self._is_failing and not self._said
    return GRACE_SECONDS if together and not waits_for_news else 0

  def _wait_for_news(self) -> None:
    deadline = time.monotonic() + NEWS_SECONDS
    while not self._gone and time.monotonic() < deadline:
      self._take_in(deadline - time.monotonic())

  def _verdict(self, code: int) -> int:
    gone = self._gone
    if gone is None or code == 0:
      self._write_held(everything=True)
      if code == -signal.SIGKILL:
        _say('this process was killed, perhaps for want of memory')
      return 128 - code if code < 0 else code
    if code in (MISTAKE, TRY_AGAIN):
      return code  # of its own; it has said why
    if self._said_code in (MISTAKE, TRY_AGAIN):
      return self._said_code  # it has said why, and was slow to end
    who = f'process {gone["gone"]}'
    said = gone['said']
    if gone['code'] == MISTAKE:
      _say(f'{who}: {said or "ended with code 2"}')
      return MISTAKE
    how = gone['how'] + (f': {said}' if said else '')
    _say(f'{who} of {self._count} is gone ({how}); start all of them again')
    return TRY_AGAIN

  def _named_by_jax(self) -> str:
    """Reads from JAX's last words who is gone; '' where that is not why.

    The parent of one that hangs is well, and so is one that can't be reached.
    """
    text = b''.join(line for _, line in self._held)
    if not _OF_JAX.search(text):
      return ''
    others = {int(x) for x in _TASK.findall(text)} - {self._index}
    return ' and '.join(map(str, sorted(others))) or '(JAX does not say which)'

  def _tell(self, *, but: Wire | None = None, **message: Any) -> None:
    for wire in self._wires:
      if wire is not but:
        wire.send(**message)

  def _take_in(self, seconds: float) -> None:
    """Waits for something to happen, and takes in all that has."""
    for key, _ in self._selector.select(max(0, seconds)):
      if key.fileobj is self._wake:
        self._pass_on(self._wake.recv(1 << 10))
      elif key.fileobj is self._server:
        self._admit()
      elif key.fileobj == self._stderr:
        self._hold()
      elif key.fileobj is self._control.socket:
        self._hear_child()
      else:
        self._hear_other(key.data)
    self._write_held(everything=False)

  def _pass_on(self, numbers: bytes) -> None:
    for number in numbers:
      # A terminal sends Ctrl-C to the child as well.
      if number == signal.SIGINT and _is_in_front():
        continue
      if number in _PASSED_ON:
        with contextlib.suppress(ProcessLookupError):
          self._child.send_signal(number)

  def _hear_child(self) -> None:
    messages, closed = self._control.receive()
    for message in messages:
      if 'joined' in message:
        self._join(**message)
      self._said = message.get('said', self._said)
      self._said_code = message.get('code', self._said_code)
      self._is_failing |= 'failing' in message
    if closed:
      self._selector.unregister(self._control.socket)

  def _join(
    self, *, joined: int, count: int, host: str, port: int, token: str
  ) -> None:
    """Connects with the parent of the first process."""
    self._index, self._count, self._token = joined, count, token
    if joined == 0:
      return
    try:
      connection = socket.create_connection((host, port), timeout=5)
    except OSError:
      return  # JAX's own words have to do
    connection.settimeout(None)
    keep_alive(connection)
    wire = Wire(connection)
    wire.send(hello=joined, token=token)
    self._wires[wire] = 0
    self._selector.register(connection, selectors.EVENT_READ, wire)

  def _admit(self) -> None:
    connection, _ = self._server.accept()
    keep_alive(connection)
    self._selector.register(connection, selectors.EVENT_READ, Wire(connection))

  def _hear_other(self, wire: Wire) -> None:
    messages, closed = wire.receive()
    for message in messages:
      if 'hello' in message and message.get('token') == self._token:
        self._wires[wire] = int(message['hello'])
      elif wire not in self._wires:
        closed = True
      elif 'ended' in message:
        del self._wires[wire]
        closed = True
      elif 'gone' in message:
        self._lose(wire, **message)
    if closed:
      if wire in self._wires:
        self._lose(wire, gone=self._wires[wire], code=None, said='')
        self._wires.pop(wire)
      self._selector.unregister(wire.socket)
      wire.socket.close()

  def _lose(
    self, wire: Wire | None, *, gone: int | str, code: int | None, said: str
  ) -> None:
    if code is None:
      how = 'killed, lost or hanging'
    elif code < 0:
      how = f'ended by {signal.Signals(-code).name}'
    else:
      how = f'ended with code {code}'
    if self._gone is None and gone != self._index:
      self._gone = {'gone': gone, 'code': code, 'how': how, 'said': said}
      self._tell(but=wire, gone=gone, code=code, said=said)

  def _hold(self) -> None:
    data = os.read(self._stderr, 1 << 16)
    if not data:
      self._selector.unregister(self._stderr)
      return
    self._held.append((time.monotonic(), data))
    while sum(len(d) for _, d in self._held) > _MOST_HELD:
      os.write(2, self._held.pop(0)[1])

  def _write_held(self, *, everything: bool) -> None:
    if self._gone:
      return
    latest = time.monotonic() - _HOLD_SECONDS
    while self._held and (everything or self._held[0][0] < latest):
      with contextlib.suppress(OSError):
        os.write(2, self._held[0][1])
      self._held.pop(0)


def _is_in_front() -> bool:
  """Tells whether Ctrl-C at the terminal reaches this process's group."""
  try:
    with open('/dev/tty', 'rb') as terminal:
      return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
  except OSError:
    return False


def _say(line: str) -> None:
  if len(line) > 280:
    line = f'{line[:180]} ... {line[-90:]}'
  with contextlib.suppress(OSError):
    os.write(2, f'error: {line}\n'.encode(errors='backslashreplace'))


def main() -> NoReturn:
  """Supervises the command that the arguments are."""
  if not sys.argv[1:] or sys.argv[1].startswith('-'):
    print(__doc__)
    sys.exit(0 if sys.argv[1:] in (['--help'], ['-h']) else MISTAKE)
  sys.exit(Supervisor(sys.argv[1:]).run())


if __name__ == '__main__':
  main()
