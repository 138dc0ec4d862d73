"""The benchmarks by name, and running them one after the other."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import difflib
from typing import Any

from morning_jax.benchmarks import checkpoint
from morning_jax.benchmarks import encoding
from morning_jax.benchmarks import harness
from morning_jax.benchmarks import paper
from morning_jax.benchmarks import rates as rates_lib
from morning_jax.benchmarks import recommending
from morning_jax.benchmarks import scaling
from morning_jax.benchmarks import serving
from morning_jax.benchmarks import startup
from morning_jax.benchmarks import top_k
from morning_jax.benchmarks import top_k_on_disk
from morning_jax.benchmarks import training
from morning_jax.core import errors
from morning_jax.reporting import console


def _prepare(
  options: harness.Options, rates: rates_lib.Rates
) -> Iterator[harness.Measurement]:
  """Runs `prepare`, whose libraries are an extra."""
  try:
    from morning_jax.benchmarks import prepare
  except ImportError as e:
    console.note(
      f"prepare needs {e.name}: pip install 'morning_jax[prepare]' brings it"
    )
    return
  yield from prepare.run(options, rates)


BENCHMARKS = {
  'training': training.run,
  'paper': paper.run,
  'encoding': encoding.run,
  'ranking': top_k.run,
  'ranking_on_disk': top_k_on_disk.run,
  'recommending': recommending.run,
  'checkpoint': checkpoint.run,
  'startup': startup.run,
  'scaling': scaling.run,
  'serving': serving.run,
  'prepare': _prepare,
}
ALL = 'all'


def choose(name: str) -> tuple[str, ...]:
  """Returns the benchmarks that a name means.

  Raises:
    UserError: there is none of that name.
  """
  if name == ALL:
    return tuple(BENCHMARKS)
  if name not in BENCHMARKS:
    near = difflib.get_close_matches(name, BENCHMARKS, n=1)
    hint = f'; did you mean {near[0]}?' if near else ''
    raise errors.UserError(
      f'no benchmark {errors.quoted(name)}: there are'
      f' {", ".join(BENCHMARKS)} and {ALL}{hint}'
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
