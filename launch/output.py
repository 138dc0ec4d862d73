"""The form and the place of an answer: `--format` and `--output`."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
from typing import Any, BinaryIO

from absl import flags

from launch import command_line
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.recommend import answer
from morning_jax.recommend import printing
from morning_jax.recommend import spreadsheet
from morning_jax.reporting import console

FORMAT = flags.DEFINE_enum(
  'format', 'table', ['table', 'json', 'csv', 'xlsx'], 'What to write.'
)
OUTPUT = flags.DEFINE_string(
  'output', None, 'Write to this file instead of the terminal.'
)


def check() -> None:
  """Checks, before the work, that an answer can be written.

  Raises:
    UserError: it can't.
  """
  if FORMAT.value == 'xlsx':
    if not OUTPUT.value:
      raise errors.UserError('--format=xlsx needs --output=FILE')
    spreadsheet.check_installed()
  with multihost.raise_together():
    if multihost.is_first():  # which writes
      command_line.check_output_files(output=OUTPUT.value)


def write(
  source: answer.Source,
  category: str,
  *,
  text: Callable[[], str],
  value: Callable[[], dict[str, Any]],
  rows: Callable[[], list[answer.Row]],
) -> None:
  """Writes an answer in the form and to the place that were asked for.

  Args:
    source: where it comes from.
    category: of whom was asked for; '' if unknown.
    text: makes a table of it for the terminal.
    value: makes JSON values.
    rows: makes the rows of a spreadsheet.
  """
  if FORMAT.value == 'table':
    lines = [*printing.source_lines(source, category), '', text(), '']
    content = '\n'.join(lines).encode()
  elif FORMAT.value == 'json':
    content = (json.dumps(value(), indent=2) + '\n').encode()
  elif FORMAT.value == 'csv':
    content = spreadsheet.to_csv(rows())
  else:
    content = spreadsheet.to_xlsx(rows(), dataclasses.asdict(source))
  if OUTPUT.value and multihost.is_first():
    files.write_whole(OUTPUT.value, lambda file: _put(file, content))
    console.say(f'written to {OUTPUT.value}')
  elif not OUTPUT.value:
    console.say(content.decode('utf-8-sig').rstrip('\r\n'))


def _put(file: BinaryIO, content: bytes) -> None:
  file.write(content)
