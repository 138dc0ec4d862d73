r"""A server of a random catalogue, in a process of its own.

  python -m morning_jax.benchmarks.serving_child \
    INFLUENCERS WIDTH CACHE_BYTES ANSWER_BYTES

It prints its port and serves until it is ended. Without influencers, every
answer is empty: what the HTTP server itself can do.
"""

from __future__ import annotations

import sys
from typing import Any, cast

import numpy as np

from morning_jax.benchmarks import serving
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import input_spec
from morning_jax.evaluation import trained_model
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import encoded
from morning_jax.serving import app as app_lib
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import guard
from morning_jax.serving import server
from morning_jax.serving import settings as settings_lib

_PERSPECTIVES = ('content', 'audience', 'attribute')
_BLOCK = 1 << 14


def catalogue(influencers: int, width: int) -> catalogue_lib.Catalogue:
  """Makes a catalogue of random vectors; nothing of it can be encoded again.

  Args:
    influencers: how many.
    width: of a vector, in all three perspectives.
  """
  nothing = cast(Any, None)
  counts = (serving.BRANDS, influencers)
  ids = [f'b{i}' for i in range(serving.BRANDS)]
  ids += [f'm{i}' for i in range(influencers)]
  total = len(ids)
  rng = np.random.default_rng(0)
  accounts = accounts_lib.Accounts(
    ids=np.array(ids),
    roles=np.repeat(np.arange(2, dtype=np.int8), counts),
    categories=np.full(total, ''),
    splits=np.full(total, ''),
    followers=rng.integers(1000, 100_000, total),
  )
  sides = []
  for role, count in enumerate(counts):
    vectors = np.empty((count, width), np.float32)
    for start in range(0, count, _BLOCK):
      part = vectors[start : start + _BLOCK]
      rng.standard_normal(out=part, dtype=np.float32)
    rows = accounts.rows_of(role)
    sides.append(
      encoded.Encoded(
        role=role,
        account_row_N=rows,
        ids_N=accounts.ids[rows],
        vector_NxD=vectors,
        present={k: np.ones(count, bool) for k in _PERSPECTIVES},
      )
    )
  ends = [round(width * i / 3) for i in range(4)]
  slices = {k: slice(ends[i], ends[i + 1]) for i, k in enumerate(_PERSPECTIVES)}
  return catalogue_lib.Catalogue(
    trained=trained_model.Trained(
      config=nothing,
      spec=input_spec.InputSpec({}, {}, {}),
      model=nothing,
      params=nothing,
      fitted={},
      step=0,
      mesh=nothing,
      data_fingerprint='',
    ),
    dataset=accounts_lib.Dataset(
      name='random',
      accounts=accounts,
      features={},
      positives_Px2=np.zeros((0, 2), np.int64),
    ),
    is_own_data=True,
    bundle_fingerprint='random',
    brands=sides[0],
    influencers=sides[1],
    slices=slices,
    pieces=tuple(encoded.Coordinates(k, 'all', slices[k]) for k in slices),
    encoder=nothing,
  )


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
    catalogue(influencers, width), cache_bytes=cache_bytes
  )
  _ = engine.catalogue.influencers.mean_D, engine.adviser.bands
  print(sock.getsockname()[1], flush=True)
  app = app_lib.create_app(engine, settings)
  server.make_server(app, settings).run(sockets=[sock])


if __name__ == '__main__':
  main(*map(int, sys.argv[1:]))
