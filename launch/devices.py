"""Which kinds of devices JAX is to look for."""

from __future__ import annotations

import glob
from importlib import metadata
import importlib.util
import os

import jax


def has_tpu() -> bool:
  """Tells whether this machine has TPU chips and their library."""
  return importlib.util.find_spec('libtpu') is not None and bool(
    glob.glob('/dev/accel[0-9]*') + glob.glob('/dev/vfio/[0-9]*')
  )


def look_for_present_ones() -> None:
  """Keeps JAX from looking for a TPU where libtpu is installed without one.

  libtpu is needed to compile for TPUs that are not attached; beside that, it
  complains in several lines. What the user has set is left alone, and so is a
  machine with any other plugin.
  """
  chosen = (
    'JAX_PLATFORMS' in os.environ
    or 'JAX_FORCE_TPU_INIT' in os.environ
    or getattr(jax.config, 'jax_platforms', None)
  )
  if chosen or importlib.util.find_spec('libtpu') is None or has_tpu():
    return
  plugins = [
    name
    for name in ('jax_cuda12_plugin', 'jax_cuda13_plugin')
    if importlib.util.find_spec(name) is not None
  ]
  others = metadata.entry_points(group='jax_plugins')
  if others and not plugins:
    return
  has_gpu = bool(plugins and glob.glob('/dev/nvidia[0-9]*'))
  platforms = 'cuda,cpu' if has_gpu else 'cpu'
  os.environ['JAX_PLATFORMS'] = platforms  # of processes that are started
  jax.config.update('jax_platforms', platforms)
