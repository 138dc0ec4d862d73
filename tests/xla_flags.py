"""How tests have XLA compile.

Most of what the tests take is compiling, so XLA compiles fast rather than fast
programs. `MORNING_TEST_OPTIMIZED=1` tests the programs that users run.
"""

import importlib.metadata
import os
import re

QUICK = '--xla_backend_optimization_level=0'
# For `compile` of a program that takes longer to run than to compile.
OPTIMIZED: dict[str, int | bool] = {'xla_backend_optimization_level': 3}
if importlib.metadata.version('jaxlib').startswith('0.10.'):
  # Newer ones have but one kind of emitters.
  QUICK += ' --xla_cpu_use_fusion_emitters=false'
  OPTIMIZED['xla_cpu_use_fusion_emitters'] = True
if os.environ.get('MORNING_TEST_OPTIMIZED', '0') != '0':
  QUICK = ''


def with_devices(flags: str, count: int) -> str:
  """Returns flags that simulate so many devices."""
  name = '--xla_force_host_platform_device_count'
  return ' '.join([re.sub(rf'{name}=\S*', '', flags), f'{name}={count}'])
