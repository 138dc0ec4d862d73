"""The table of methods to compare MORNING with."""

from __future__ import annotations

from collections.abc import Mapping

from morning_jax.comparison.methods import bamir
from morning_jax.comparison.methods import camera
from morning_jax.comparison.methods import catr
from morning_jax.comparison.methods import hptr
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import mir
from morning_jax.comparison.methods import two_tower

PEERS: Mapping[str, interface.Peer] = {
  'mir': mir.PEER,
  'hptr': hptr.PEER,
  'catr': catr.PEER,
  'camera': camera.PEER,
  'bamir': bamir.PEER,
  'two-tower': two_tower.PEER,
}
