"""Fills the templates: one HTML page, and the cards."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Any

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.report import contents as contents_lib
from morning_jax.report import svg

_MARKS = re.compile(r'([\\`*\[\]|#!~])')  # what Markdown takes for a sign
PAGE, CARDS = 'report.html', ('model_card.md', 'data_card.md')


def check_new(folder: str | os.PathLike[str]) -> None:
  """Checks, before the work, that a report can be written.

  Args:
    folder: where it is to go; it may exist if it is empty.

  Raises:
    UserError: something is there already, or Jinja2 is not installed.
  """
  path = pathlib.Path(folder)
  if os.path.lexists(path) and (
    not path.is_dir() or path.is_symlink() or any(path.iterdir())
  ):
    raise errors.UserError(
      errors.in_file(path, 'exists already; name a new folder')
    )
  try:
    import jinja2  # noqa: F401
  except ImportError:
    raise errors.UserError(
      "a report needs Jinja2: pip install 'morning_jax[report]'"
    ) from None


def plain(text: str) -> str:
  """Returns a text of strangers that Markdown shows as it is, on one line."""
  line = ' '.join(str(text).split())
  line = ''.join(c if c.isprintable() else ' ' for c in line)
  line = _MARKS.sub(r'\\\1', line)
  line = line.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
  return line.replace('://', '&#58;//')


def render(contents: contents_lib.Contents) -> dict[str, str]:
  """Fills the templates.

  Args:
    contents: what they show.

  Returns:
    File -> its text. The page has neither a script nor an address.
  """
  import jinja2

  loader = jinja2.PackageLoader('morning_jax.report')
  options: dict[str, Any] = {
    'loader': loader,
    'undefined': jinja2.StrictUndefined,
    'trim_blocks': True,
    'lstrip_blocks': True,
  }
  html = jinja2.Environment(autoescape=True, **options)
  # Names of strangers in it go through `md`, and `tojson` in a card's head.
  text = jinja2.Environment(autoescape=False, **options)
  text.filters['md'] = plain
  values = {'c': contents, 'svg': svg}
  return {
    PAGE: html.get_template(PAGE).render(values),
    **{card: text.get_template(card).render(values) for card in CARDS},
  }


def write(
  contents: contents_lib.Contents, folder: str | os.PathLike[str]
) -> None:
  """Writes the page and the cards into a new folder, all or nothing.

  Raises:
    OSError: they can't be written.
  """
  texts = render(contents)
  with files.new_folder(folder) as draft:
    for name, text in texts.items():
      files.write_text(draft / name, text)
