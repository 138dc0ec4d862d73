"""How XLA compiles in tests: as fast as it can, not for speed.

Most of the time of most tests is LLVM's, at programs that run for milliseconds.
What is computed stays the same but for the last bits of sums and products.
"""

_QUICK = (
  '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
)


def flags(devices: int) -> str:
  """Returns XLA_FLAGS of a process with so many simulated devices."""
  return f'{_QUICK} --xla_force_host_platform_device_count={devices}'
