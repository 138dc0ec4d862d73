"""What a compiled program needs of each device: figures, and what limits it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from morning_jax.training.aot import chips
from morning_jax.training.aot import hlo
from morning_jax.training.aot import operations as operations_lib


@dataclasses.dataclass(frozen=True)
class Report:
  """What one step needs of each device.

  Attributes:
    topology: its name.
    mesh: axis -> size.
    batch_size: pairs of a step, over all devices.
    job: one of `lowering.JOBS`.
    chip: peak rates of one device.
    memory: kind -> bytes; empty where the compiler gave up for lack of memory.
    out_of_memory: what the compiler said then; '' where it compiled.
    flops: floating-point operations of a step.
    bytes_accessed: bytes that the operations of a step read and write; what
      stays in on-chip memory is counted too, so HBM sees less.
    collectives: the operations that exchange data.
    off_chip_bytes: those of `bytes_accessed` that are to and from HBM, by the
      program's own layouts (`operations`).
    operations: those that cost most in memory or arithmetic.
  """

  topology: str
  mesh: Mapping[str, int]
  batch_size: int
  job: str
  chip: chips.Chip
  memory: Mapping[str, int]
  out_of_memory: str
  flops: float
  bytes_accessed: float
  collectives: list[hlo.Collective]
  off_chip_bytes: float
  operations: list[operations_lib.Operation]

  @property
  def fits(self) -> bool:
    """Whether the step's memory is within the device's."""
    return (
      not self.out_of_memory and self.memory['total'] <= self.chip.memory_bytes
    )

  @property
  def seconds(self) -> dict[str, float]:
    """Least time of a step at the published peaks, by what limits it.

    `at_least`: everything overlaps; `one_after_another`: exchange waits for
    computation.
    """
    sent = sum(c.bytes_sent for c in self.collectives)
    compute = self.flops / self.chip.flops
    memory = self.bytes_accessed / self.chip.memory_rate
    exchange = sent / self.chip.link_rate
    return {
      'compute': compute,
      'memory': memory,
      'exchange': exchange,
      'at_least': max(compute, memory, exchange),
      'one_after_another': max(compute, memory) + exchange,
    }

  @property
  def bound(self) -> tuple[str, str]:
    """What limits a step, and the operation that takes most of it."""
    seconds = self.seconds
    by = max(('compute', 'memory', 'exchange'), key=lambda k: seconds[k])
    if by == 'exchange':
      most = max(self.collectives, key=lambda c: c.bytes_sent)
      return 'links', f'{most.kind} {most.shapes[:60]}'
    cost = 'flops' if by == 'compute' else 'bytes'
    name = max(self.operations, key=lambda o: getattr(o, cost)).name
    return {'compute': 'arithmetic'}.get(by, by), name

  def to_json(self) -> dict[str, Any]:
    """Returns plain JSON values of one device and step, bytes and seconds."""
    found: dict[str, Any] = {
      'topology': self.topology,
      'mesh': dict(self.mesh),
      'job': self.job,
      'batch_size': self.batch_size,
      'fits': self.fits,
      'memory': dict(self.memory),
      'out_of_memory': self.out_of_memory,
    }
    if self.out_of_memory:
      return found
    by, operation = self.bound
    return found | {
      'flops': self.flops,
      'bytes_accessed': self.bytes_accessed,
      'off_chip_bytes': self.off_chip_bytes,
      'bytes_sent': sum(c.bytes_sent for c in self.collectives),
      'seconds': self.seconds,
      'bound': {'by': by, 'operation': operation},
      'collectives': [
        dataclasses.asdict(c) | {'bytes_sent': c.bytes_sent}
        for c in self.collectives
      ],
    }
