"""Loops of Orbax: tasks that fail later than the first say nothing more."""

import asyncio
import gc
import textwrap
import threading
import time

import pytest

from morning_jax.checkpoint import event_loops

# What Orbax does: a loop of its own, closed once the first task fails.
RUN = textwrap.dedent("""
  import asyncio

  def run(*coros):
    async def together():
      await asyncio.gather(*coros)

    loop = asyncio.new_event_loop()
    try:
      return loop.run_until_complete(together())
    finally:
      loop.close()
""")


def run_of(module):
  """Returns the function above, as if defined in a module of that name."""
  names = {'__name__': module}
  exec(RUN, names)
  return names['run']


async def fails(what, ended, *, pauses=0):
  for _ in range(pauses):
    await asyncio.sleep(0)
  ended.append(what)
  raise ValueError(what)


async def fails_later(what, ended, callbacks):
  """Fails when a thread of a library calls back, as TensorStore's do."""
  loop = asyncio.get_running_loop()
  future = loop.create_future()

  def call_back():
    time.sleep(0.1)
    try:
      loop.call_soon_threadsafe(future.set_result, None)
    except RuntimeError as e:
      callbacks.append(str(e))

  thread = threading.Thread(target=call_back)
  thread.start()
  try:
    await future
    await fails(what, ended)
  finally:
    # Of a loop that was closed, it runs when the coroutine is deleted.
    thread.join()


@pytest.fixture
def policy():
  """A policy of the test's own, for others to stay as they are."""
  before = asyncio.get_event_loop_policy()
  asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
  yield
  asyncio.set_event_loop_policy(before)


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize(
  ('module', 'installed', 'quiet'),
  [
    ('orbax.x', True, True),
    ('orbax.x', False, False),
    ('another', True, False),
  ],
)
def test_tasks_end_before_their_loop_closes(
  policy, caplog, module, installed, quiet
):
  if installed:
    event_loops.install()
    event_loops.install()
  ended, callbacks = [], []
  with pytest.raises(ValueError, match='first'):
    run_of(module)(
      fails('first', ended),
      fails('at once', ended),
      fails_later('later', ended, callbacks),
    )
  for thread in threading.enumerate():
    if thread is not threading.current_thread():
      thread.join(0.3)
  gc.collect()
  found = (ended, callbacks, [r.message.split('\n')[0] for r in caplog.records])
  expected = (['first', 'at once', 'later'], [], [])
  assert (found == expected) == quiet, found


@pytest.mark.parametrize('pauses', range(8))
def test_a_task_may_fail_just_when_the_loop_stops(policy, caplog, pauses):
  event_loops.install()
  ended = []
  with pytest.raises(ValueError, match='first'):
    run_of('orbax.x')(
      fails('first', ended), fails('second', ended, pauses=pauses)
    )
  gc.collect()
  assert ended == ['first', 'second']
  assert not caplog.records


def test_a_loop_without_tasks_closes(policy):
  event_loops.install()

  async def nothing():
    pass

  assert run_of('orbax.x')(nothing()) is None
