"""Requests per second of the server, beside what limits them.

Server and client share the cores: one worker in a process of its own, and a
client here that keeps several connections busy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import pathlib
import selectors
import socket
import subprocess
import sys
import time

import numpy as np

from morning_jax.benchmarks import child_process
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import top_k
from morning_jax.core import errors

BRANDS = 64  # that are asked for in turns
_SMALL = 10_000  # influencers of the rates
_CONNECTIONS = 8
_K = 10
_HEAD_END = b'\r\n\r\n'
_LENGTH = b'content-length: '


def run(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Measures recommendations over HTTP, of scores in memory and without.

  Args:
    options: `influencers`, `width`, `quick`, `repeats`.
    rates: of this machine.

  Yields:
    Requests per second of answers that are in memory, and of those made of
    scores that are, beside empty answers of the same HTTP server; the same
    with a product for each request, beside reading the catalogue once; and the
    seconds of one request to the large catalogue.

  Raises:
    UserError: the server's libraries are not installed.
  """
  seconds = 0.2 if options.quick else 2.0
  width = options.width
  rows = min(_SMALL, options.influencers)
  brands = range(BRANDS)
  paths = [f'/api/v1/recommendations?brand=b{i}&k={_K}' for i in brands]
  moved = 4.0 * rows * width
  for kept, answer_bytes in (('answers', 1 << 30), ('scores', 0)):
    with (
      _serving(0, width, cache_bytes=0, answer_bytes=0) as (bare, _),
      _serving(rows, width, cache_bytes=1 << 30, answer_bytes=answer_bytes) as (
        port,
        process,
      ),
    ):
      ask(port, paths, seconds=0, requests=len(paths))
      figures: list[tuple[float, np.ndarray]] = []
      trivial: list[float] = []
      for _ in range(options.repeats):
        trivial.append(ask(bare, ['/'], seconds=seconds)[0])
        figures.append(ask(port, paths, seconds=seconds))
      yield _rate(
        figures,
        {'in memory': kept, 'influencers': rows, 'width': width},
        harness.Limit(1 / float(np.median(trivial)), 'HTTP server'),
        memory_of(process),
      )
  with _serving(rows, width, cache_bytes=0, answer_bytes=0) as (port, process):
    ask(port, paths, seconds=0, requests=len(paths))
    figures = [
      ask(port, paths, seconds=seconds) for _ in range(options.repeats)
    ]
    yield _rate(
      figures,
      {'in memory': 'nothing', 'influencers': rows, 'width': width},
      rates.limit(flops=2.0 * rows * width, moved=moved, exact=True),
      memory_of(process),
    )
  rows = top_k.rows_that_fit(options)
  if rows <= _SMALL and not options.quick:
    return
  moved = 4.0 * rows * width
  with _serving(rows, width, cache_bytes=0, answer_bytes=0) as (port, process):
    ask(port, paths, seconds=0, requests=2, connections=1)
    found = ask(
      port, paths[2:], seconds=0, requests=options.repeats, connections=1
    )[1]
    yield harness.measured(
      'serving',
      {
        'in memory': 'nothing, one request',
        'influencers': rows,
        'width': width,
      },
      found.tolist(),
      rates.limit(flops=2.0 * rows * width, moved=moved, exact=True),
      also={'server MB': memory_of(process), 'catalogue MB': moved / 1e6},
    )


def _rate(
  figures: Sequence[tuple[float, np.ndarray]],
  parameters: dict[str, object],
  limit: harness.Limit,
  megabytes: float,
) -> harness.Measurement:
  latency = np.concatenate([seconds for _, seconds in figures])
  return harness.measured(
    'serving',
    {**parameters, 'k': _K, 'connections': _CONNECTIONS},
    [1 / rate for rate, _ in figures],
    limit,
    work=1.0,
    unit='requests/s',
    also={
      'p50 ms': 1e3 * float(np.percentile(latency, 50)),
      'p99 ms': 1e3 * float(np.percentile(latency, 99)),
      'server MB': megabytes,
    },
  )


@contextlib.contextmanager
def _serving(
  influencers: int, width: int, *, cache_bytes: int, answer_bytes: int
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
  """Runs a server of a random catalogue; yields its port and process."""
  command = [
    sys.executable,
    '-m',
    'morning_jax.benchmarks.serving_child',
    *map(str, (influencers, width, cache_bytes, answer_bytes)),
  ]
  process = subprocess.Popen(
    command,
    env=child_process.variables({'JAX_PLATFORMS': 'cpu'}),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    if not line:
      text = process.stderr.read()
      if 'ModuleNotFoundError' in text:
        raise errors.UserError(
          'serving: the server is not installed: pip install'
          " 'morning_jax[serve]' brings it"
        )
      raise RuntimeError(f'the server failed: {text[-2000:]}')
    yield int(line), process
  finally:
    process.kill()
    process.communicate()


def memory_of(process: subprocess.Popen[str]) -> float:
  """Returns the most memory that a process has held, in MB; 0 if unknown."""
  try:
    text = pathlib.Path(f'/proc/{process.pid}/status').read_text()
    (line,) = [x for x in text.splitlines() if x.startswith('VmHWM')]
    return int(line.split()[1]) * 1024 / 1e6
  except (OSError, ValueError):
    return 0.0


def ask(
  port: int,
  paths: Sequence[str],
  *,
  seconds: float,
  requests: int = 0,
  connections: int = _CONNECTIONS,
) -> tuple[float, np.ndarray]:
  """Sends requests, one after the other on each connection.

  Args:
    port: of the server.
    paths: what is asked, in turns.
    seconds: for how long at least.
    requests: how many at least.
    connections: that are busy at once.

  Returns:
    Requests per second, and the seconds that each took.

  Raises:
    RuntimeError: an answer is no 200.
  """
  messages = [
    f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode() for path in paths
  ]
  selector = selectors.DefaultSelector()
  sent: dict[int, float] = {}
  took: list[float] = []
  count = 0

  def send(s: socket.socket) -> None:
    nonlocal count
    sent[s.fileno()] = time.perf_counter()
    s.sendall(messages[count % len(messages)])
    count += 1

  with contextlib.ExitStack() as stack:
    stack.callback(selector.close)
    begin = time.perf_counter()
    for _ in range(connections):
      s = stack.enter_context(socket.create_connection(('127.0.0.1', port)))
      s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
      selector.register(s, selectors.EVENT_READ, bytearray())
      send(s)
    while len(took) < requests or time.perf_counter() < begin + seconds:
      for key, _ in selector.select():
        s = key.fileobj  # type: ignore[assignment]
        buffer: bytearray = key.data
        part = s.recv(1 << 16)
        buffer += part
        if not part or not buffer.startswith(b'HTTP/1.1 200'[: len(buffer)]):
          raise RuntimeError(f'the server answered {bytes(buffer[:200])!r}')
        if _is_whole(buffer):
          buffer.clear()
          took.append(time.perf_counter() - sent[s.fileno()])
          send(s)
    end = time.perf_counter()
  return len(took) / (end - begin), np.array(took)


def _is_whole(answer: bytearray) -> bool:
  head = answer.find(_HEAD_END)
  if head < 0:
    return False
  place = answer.find(_LENGTH, 0, head) + len(_LENGTH)
  length = int(answer[place : answer.find(b'\r', place)])
  return len(answer) >= head + len(_HEAD_END) + length
