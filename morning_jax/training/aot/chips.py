"""Published peak rates of accelerator chips."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
  """What one chip can do at most.

  Attributes:
    flops: bfloat16 FLOP/s.
    memory_bytes: HBM.
    memory_rate: bytes/s to and from HBM.
    link_rate: bytes/s sent to other chips, all links together, one direction.
  """

  flops: float
  memory_bytes: float
  memory_rate: float
  link_rate: float


# The vendor's pages on each system, cloud.google.com/tpu/docs/{v4,v5e,v5p,v6e}:
# "peak compute per chip (bf16)", "HBM capacity and bandwidth" and "inter-chip
# interconnect bandwidth", which they give for both directions together: half
# of it here.
CHIPS = {
  'v4': Chip(275e12, 32 * 2**30, 1200e9, 300e9),
  'v5e': Chip(197e12, 16 * 2**30, 819e9, 200e9),
  'v5p': Chip(459e12, 95 * 2**30, 2765e9, 600e9),
  'v6e': Chip(918e12, 32 * 2**30, 1640e9, 400e9),
}
