"""How tests have XLA compile.

Most of what the tests take is compiling, so XLA compiles fast rather than fast
programs. To test the programs that users run:

  XLA_FLAGS='--xla_backend_optimization_level=3 --xla_cpu_use_fusion_emitters=1'

where JAX is older than 0.11, which knows no second flag.
"""

import importlib.metadata
import re

QUICK = '--xla_backend_optimization_level=0'
# For `compile` of a program that takes longer to run than to compile.
OPTIMIZED: dict[str, int | bool] = {'xla_backend_optimization_level': 3}
if importlib.metadata.version('jaxlib').startswith('0.10.'):
  QUICK += ' --xla_cpu_use_fusion_emitters=false'
  OPTIMIZED['xla_cpu_use_fusion_emitters'] = True


def with_devices(flags: str, count: int) -> str:
  """Returns flags that simulate so many devices."""
  name = '--xla_force_host_platform_device_count'
  return ' '.join([re.sub(rf'{name}=\S*', '', flags), f'{name}={count}'])
