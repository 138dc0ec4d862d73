"""What all pages share: templates, addresses, files, and how failures look."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import mimetypes
import pathlib
from typing import Any
import urllib.parse

from fastapi import responses
import jinja2

from morning_jax.serving import engine as engine_lib
from morning_jax.serving import failures
from morning_jax.serving import guard
from morning_jax.serving import settings as settings_lib

_FOLDER = pathlib.Path(__file__).resolve().parent
_TITLES = {
  401: 'Please sign in',
  404: 'Not found',
  422: 'That question does not work',
  503: 'Busy',
}


def static_files() -> dict[str, tuple[str, bytes]]:
  """Reads the files of all pages: name -> media type, content."""
  return {
    path.name: (mimetypes.guess_type(path.name)[0] or '', path.read_bytes())
    for path in sorted((_FOLDER / 'static').iterdir())
  }


def opening_page() -> bytes:
  """Reads the page that is shown until there is an engine."""
  return (_FOLDER / 'templates' / 'opening.html').read_bytes()


def address(path: str, **parameters: Any) -> str:
  """Returns an address of this server; lists become repeated parameters."""
  text = urllib.parse.urlencode(
    {k: v for k, v in parameters.items() if v not in (None, '', False, [], ())},
    doseq=True,
  )
  return f'{path}?{text}' if text else path


class Site:
  """The templates and files of the pages, in memory."""

  def __init__(
    self, engine: engine_lib.Engine, settings: settings_lib.Settings
  ):
    """Loads them.

    Args:
      engine: what the pages tell of.
      settings: limits, and whom to write to.
    """
    self.engine = engine
    self.settings = settings
    # Read once: no name that a client sends is ever looked for on a disk.
    self.files = static_files()
    version = hashlib.sha256(
      b''.join(content for _, content in self.files.values())
    ).hexdigest()[:12]
    self._templates = jinja2.Environment(
      loader=jinja2.FileSystemLoader(_FOLDER / 'templates'),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
    )
    self._templates.globals.update(
      address=address,
      version=version,
      contact=settings.contact,
      bundle=engine.bundle_name,
      step=engine.catalogue.step,
      has_xlsx=importlib.util.find_spec('xlsxwriter') is not None,
      brand='',
    )
    self._templates.filters.update(number=_number, signed=_signed)

  def text(self, template: str, **values: Any) -> str:
    """Fills in a template."""
    return self._templates.get_template(template).render(**values)

  def page(self, template: str, **values: Any) -> responses.Response:
    """Returns a page."""
    return responses.Response(
      self.text(template, **values), media_type='text/html; charset=utf-8'
    )

  def refuse(
    self, scope: guard.Scope, failure: failures.Failure
  ) -> tuple[str, bytes]:
    """Says a failure: as JSON to a program, as a page to a person."""
    request_id = scope['state']['request_id']
    if guard.wants_json(scope) or scope['method'] == 'POST':
      body = json.dumps(failure.as_json(request_id)).encode()
      return 'application/json', body
    text = self.text(
      'error.html',
      title=_TITLES.get(failure.status, 'That did not work'),
      message=failure.message,
      request_id=request_id,
    )
    return 'text/html; charset=utf-8', text.encode()


def _number(value: float | None) -> str:
  """Returns a count as people read it."""
  return 'unknown' if value is None else f'{value:,.0f}'


def _signed(value: float) -> str:
  """Returns a difference as people read it, with a true minus."""
  text = f'{value:+.1f}'
  return '0.0' if text[1:] == '0.0' else text.replace('-', '−')
