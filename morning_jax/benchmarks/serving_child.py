r"""A server of a random catalogue, in a process of its own.

  python -m morning_jax.benchmarks.serving_child \
    INFLUENCERS WIDTH CACHE_BYTES ANSWER_BYTES

It prints its port and serves until it is ended. Without influencers, every
answer is empty: what the HTTP server itself can do.
"""

from __future__ import annotations

import sys

from morning_jax.benchmarks import random_catalogue
from morning_jax.benchmarks import serving
from morning_jax.serving import app as app_lib
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import guard
from morning_jax.serving import server
from morning_jax.serving import settings as settings_lib


async def _empty(
  scope: guard.Scope, receive: guard.Receive, send: guard.Send
) -> None:
  del scope, receive
  headers = [(b'content-length', b'0')]
  await send({'type': 'http.response.start', 'status': 200, 'headers': headers})
  await send({'type': 'http.response.body', 'body': b''})


def main(
  influencers: int, width: int, cache_bytes: int, answer_bytes: int
) -> None:
  """Serves until the process is ended."""
  settings = settings_lib.Settings(answer_bytes=answer_bytes)
  sock = server.listen('127.0.0.1', 0)
  if not influencers:
    print(sock.getsockname()[1], flush=True)
    server.make_server(_empty, settings).run(sockets=[sock])
    return
  engine = engine_lib.Engine(
    random_catalogue.make(serving.BRANDS, influencers, width),
    cache_bytes=cache_bytes,
  )
  _ = engine.catalogue.influencers.mean_D, engine.adviser.bands
  engine.warm_up_scores()
  print(sock.getsockname()[1], flush=True)
  app = app_lib.create_app(engine, settings)
  server.make_server(app, settings).run(sockets=[sock])


if __name__ == '__main__':
  main(*map(int, sys.argv[1:]))
