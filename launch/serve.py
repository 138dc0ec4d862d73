r"""Serves a trained model: pages for a marketing team, and an HTTP API.

Examples:
  python -m launch.serve --workdir=runs/mine
  python -m launch.serve --workdir=runs/mine --bundle=my_bundle --port=8080
  python -m launch.serve --workdir=runs/mine --host=0.0.0.0 \
    --allowed_hosts=ranker.example.com --token_file=token.txt

It prints the address to open, where a page says so until the model is loaded.
Nothing is written, nothing is sent anywhere.
Only this machine reaches it, unless --host says otherwise; then every request
must bring the token of --token_file (docs/serving.md).
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from absl import flags

from launch import command_line
from morning_jax.core import errors
from morning_jax.evaluation import trained_model
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.reporting import console
from morning_jax.training import termination

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'The folder that launch.train printed.', required=True
)
_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'Serve this bundle instead of the data trained on.'
)
_HOST = flags.DEFINE_string(
  'host',
  '127.0.0.1',
  'The address to listen on; any but loopback needs a token.',
)
_PORT = flags.DEFINE_integer(
  'port', 8000, '0 for any that is free.', lower_bound=0, upper_bound=65535
)
_ALLOWED_HOSTS = flags.DEFINE_list(
  'allowed_hosts',
  [],
  'Names by which browsers address the server, beside --host.',
)
_TOKEN_FILE = flags.DEFINE_string(
  'token_file',
  None,
  'A file with the token that every request must bring; it is made, with a'
  ' random token, if it is not there.',
)
_EXCLUDE = flags.DEFINE_string(
  'exclude',
  None,
  'A file of influencers, one a line, who are shown nowhere; a change of it is'
  ' honoured at once.',
)
_CONTACT = flags.DEFINE_string(
  'contact', '', 'Whom people write to who want to be removed; a page says so.'
)


def main(argv: list[str]) -> None:
  """Serves until it is stopped."""
  del argv
  try:
    from morning_jax.serving import access
    from morning_jax.serving import app as app_lib
    from morning_jax.serving import engine as engine_lib
    from morning_jax.serving import exclusions as exclusions_lib
    from morning_jax.serving import guard
    from morning_jax.serving import held_out
    from morning_jax.serving import server
    from morning_jax.serving import settings as settings_lib
  except ImportError as e:
    raise errors.UserError(
      f"{e.name} is not installed: pip install 'morning_jax[serve]' brings it"
    ) from None
  host = _HOST.value.strip('[]')
  is_local = access.is_loopback(host)
  if not is_local and not _TOKEN_FILE.value:
    raise errors.UserError(
      f'--host={_HOST.value} lets other machines in: name a file for a token'
      ' with --token_file=FILE; it is made if it is not there'
    )
  hosts = access.host_names(host, _ALLOWED_HOSTS.value)
  token = access.read_token(_TOKEN_FILE.value) if _TOKEN_FILE.value else None
  settings = settings_lib.Settings(
    hosts=hosts, token=token, contact=_CONTACT.value
  )
  exclusions = exclusions_lib.Exclusions(_EXCLUDE.value)
  trained_model.check_there(_WORKDIR.value)
  sock = server.listen(host, _PORT.value)
  port = sock.getsockname()[1]
  shown = access.shown_name(host, _ALLOWED_HOSTS.value)
  console.say(f'http://{shown}:{port}/')
  if token is not None:
    console.note(
      f'a browser asks for the token of {_TOKEN_FILE.value} as a password'
    )

  def load() -> tuple[guard.App, engine_lib.Engine]:
    catalogue = catalogue_lib.open_catalogue(_WORKDIR.value, _BUNDLE.value)
    console.notes(catalogue.notes)
    engine = engine_lib.Engine(
      catalogue, exclusions=exclusions, cache_bytes=settings.cache_bytes
    )
    metrics = held_out.read(_WORKDIR.value, step=catalogue.step)
    app = app_lib.create_app(engine, settings, metrics=metrics)
    console.note(f'{len(catalogue.influencers):,} influencers are ready')
    return app, engine

  try:
    with termination.raised():
      server.run(load, settings, sock)
  except termination.Stopped:
    _end(0)
  except KeyboardInterrupt:
    print('stopped from the keyboard', file=sys.stderr)
    _end(130)


def _end(code: int) -> NoReturn:
  """Ends at once: a thread that still compiles would crash Python's own end."""
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


if __name__ == '__main__':
  command_line.run(main)
