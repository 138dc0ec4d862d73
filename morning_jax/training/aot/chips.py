"""Published peak rates of accelerator chips, and what a GPU's compiler asks."""

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


# The vendors' pages. TPUs: cloud.google.com/tpu/docs/{v4,v5e,v5p,v6e}:
# "peak compute per chip (bf16)", "HBM capacity and bandwidth" and "inter-chip
# interconnect bandwidth", which they give for both directions together: half
# of it here. GPUs: the data sheet of the H100 SXM, without sparsity; NVLink to
# the GPUs of one host.
CHIPS = {
  'v4': Chip(275e12, 32 * 2**30, 1200e9, 300e9),
  'v5e': Chip(197e12, 16 * 2**30, 819e9, 200e9),
  'v5p': Chip(459e12, 95 * 2**30, 2765e9, 600e9),
  'v6e': Chip(918e12, 32 * 2**30, 1640e9, 400e9),
  'h100': Chip(989e12, 80e9, 3350e9, 450e9),
}

# What XLA would ask the driver of the card, its `DeviceDescription`. Sizes
# are the CUDA programming guide's of compute capability 9.0.
GPU_TARGETS = {
  'h100': """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3350000000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 80000000000
  cuda_compute_capability { major: 9 minor: 0 }
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 1 }
device_description_str: "NVIDIA H100 80GB HBM3"
""",
}
MOST_GPUS = 8  # of a host, all behind one NVLink switch
