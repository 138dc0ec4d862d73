"""Which devices a command looks for."""

import subprocess
import types

import pytest

from launch import devices
from tests import runs


@pytest.mark.parametrize(
  ('environment', 'devices_there', 'wanted'),
  [
    ({}, (), 'cpu'),
    ({'JAX_PLATFORMS': 'tpu'}, (), None),
    ({'JAX_PLATFORMS': ''}, (), None),
    ({}, ('/dev/accel0',), None),
    ({}, ('/dev/vfio/0',), None),
  ],
)
def test_a_tpu_is_looked_for_where_there_may_be_one(
  monkeypatch, environment, devices_there, wanted
):
  monkeypatch.delenv('JAX_PLATFORMS')
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  set_to = []
  config = types.SimpleNamespace(update=lambda *a: set_to.append(a))
  monkeypatch.setattr(devices, 'jax', types.SimpleNamespace(config=config))
  monkeypatch.setattr(
    devices.importlib.util, 'find_spec', lambda n: n == 'libtpu' or None
  )
  monkeypatch.setattr(devices.metadata, 'entry_points', lambda **_: ())
  monkeypatch.setattr(
    devices.glob,
    'glob',
    lambda p: [d for d in devices_there if d[:-1] == p.removesuffix('[0-9]*')],
  )
  devices.look_for_present_ones()
  assert set_to == ([('jax_platforms', wanted)] if wanted else [])
  monkeypatch.delenv('JAX_PLATFORMS', raising=False)


def test_a_launcher_without_a_tpu_is_quiet(trained):
  pytest.importorskip('libtpu')
  environment = runs.environment()
  del environment['JAX_PLATFORMS']
  done = subprocess.run(
    runs.command(f'--workdir={trained}', module='evaluate'),
    env=environment,
    cwd=runs.ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0
  assert runs.error_lines(done.stderr) == []
