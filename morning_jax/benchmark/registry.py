"""The benchmarks by name, and running them one after the other."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import difflib
from typing import Any

from morning_jax import errors
from morning_jax.benchmark import checkpoint
from morning_jax.benchmark import encoding
from morning_jax.benchmark import harness
from morning_jax.benchmark import paper
from morning_jax.benchmark import ranking
from morning_jax.benchmark import rates as rates_lib
from morning_jax.benchmark import scaling
from morning_jax.benchmark import startup
from morning_jax.benchmark import training

BENCHMARKS = {
  'training': training.run,
  'paper': paper.run,
  'encoding': encoding.run,
  'ranking': ranking.run,
  'checkpoint': checkpoint.run,
  'startup': startup.run,
  'scaling': scaling.run,
}
ALL = 'all'


def choose(name: str) -> tuple[str, ...]:
  """Returns the benchmarks that a name stands for.

  Raises:
    UserError: there is none of that name.
  """
  if name == ALL:
    return tuple(BENCHMARKS)
  if name not in BENCHMARKS:
    near = difflib.get_close_matches(name, BENCHMARKS, n=1)
    hint = f'; did you mean {near[0]}?' if near else ''
    raise errors.UserError(
      f'no benchmark {name!r}: there are {", ".join(BENCHMARKS)} and'
      f' {ALL}{hint}'
    )
  return (name,)


def run(
  names: tuple[str, ...], options: harness.Options
) -> tuple[rates_lib.Rates, Iterator[harness.Measurement]]:
  """Measures the machine, then prepares to run benchmarks.

  Args:
    names: of benchmarks.
    options: what the user chose.

  Returns:
    The machine's rates, and the figures as they come.
  """
  rates = rates_lib.measure(quick=options.quick)

  def figures() -> Iterator[harness.Measurement]:
    for name in names:
      yield from BENCHMARKS[name](options, rates)

  return rates, figures()


def as_json(
  figure: harness.Measurement, rates: rates_lib.Rates
) -> dict[str, Any]:
  """Returns the object that a JSON file holds for a figure."""
  return {
    **dataclasses.asdict(figure),
    'machine': dataclasses.asdict(rates),
    **harness.environment(),
  }
