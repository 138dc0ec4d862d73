"""A server on a socket of this machine, in a thread."""

from collections.abc import Iterator
import contextlib
import threading
import time

from morning_jax.serving import app as app_lib
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import server as server_lib
from morning_jax.serving import settings as settings_lib


@contextlib.contextmanager
def running(
  engine: engine_lib.Engine, settings: settings_lib.Settings, metrics=None
) -> Iterator[int]:
  """Runs a server as the command does; yields its port."""
  app = app_lib.create_app(engine, settings, metrics=metrics)
  with serving(app, settings) as port:
    yield port


@contextlib.contextmanager
def serving(app, settings: settings_lib.Settings) -> Iterator[int]:
  """Runs any application; yields its port."""
  sock = server_lib.listen('127.0.0.1', 0)
  server = server_lib.make_server(app, settings)
  thread = threading.Thread(target=server.run, args=[[sock]], daemon=True)
  thread.start()
  while not server.started:
    time.sleep(0.01)
  try:
    yield sock.getsockname()[1]
  finally:
    server.should_exit = True
    thread.join()
    sock.close()
