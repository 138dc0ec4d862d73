"""Puts the server together: the API, the pages, and the guard before both."""

from __future__ import annotations

from collections.abc import Mapping
import logging
from typing import Any

import fastapi
from fastapi import exceptions
from fastapi import responses
from starlette import exceptions as starlette_exceptions

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.serving import api
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import failures
from morning_jax.serving import guard
from morning_jax.serving import kept
from morning_jax.serving import lists
from morning_jax.serving import metrics as metrics_lib
from morning_jax.serving import pages
from morning_jax.serving import settings as settings_lib
from morning_jax.serving import shapes
from morning_jax.serving import site

_LOG = logging.getLogger(__name__)
_CODES = {404: 'not_found', 405: 'method_not_allowed', 400: 'not_well_formed'}
_WORDS = {
  404: 'there is no such address',
  405: 'this address does not take that method',
  400: 'the request is not well-formed',
}


def create_app(
  engine: engine_lib.Engine,
  settings: settings_lib.Settings,
  *,
  metrics: Mapping[str, Any] | None = None,
) -> guard.Guard:
  """Makes the ASGI application.

  Args:
    engine: answers.
    settings: limits, hosts and the token.
    metrics: split -> metrics of what was held out; see `held_out`.

  Returns:
    The application, guarded.
  """
  counters = metrics_lib.Metrics()
  catalogue = engine.catalogue
  for side in (catalogue.brands, catalogue.influencers):
    counters.set_accounts(accounts_lib.ROLES[side.role], len(side))
  app = fastapi.FastAPI(
    title='morning_jax',
    version='1',
    summary='Which micro-influencers should a brand work with, and why?',
    openapi_url=f'{api.PREFIX}/openapi.json',
    docs_url=None,  # these would load scripts from elsewhere
    redoc_url=None,
    redirect_slashes=False,
  )
  the_site = site.Site(engine, settings)
  held_out = dict(metrics or {})
  app.include_router(api.router(engine, held_out))
  app.include_router(pages.router(the_site, held_out, app.openapi))
  app.include_router(lists.router(the_site))
  _add_checks(app, engine, counters)
  _add_handlers(app, the_site)
  answering = kept.KeptAnswers(app, engine, most_bytes=settings.answer_bytes)
  return guard.Guard(answering, settings, counters, the_site.refuse)


def _add_checks(
  app: fastapi.FastAPI,
  engine: engine_lib.Engine,
  metrics: metrics_lib.Metrics,
) -> None:
  @app.get('/health/live', tags=['operation'])
  async def live() -> dict[str, str]:
    """The process answers."""
    return {'status': 'live'}

  @app.get(
    '/health/ready',
    tags=['operation'],
    responses={503: {'model': shapes.Error}},
  )
  async def ready() -> dict[str, str]:
    """All that answers share has been computed."""
    if not engine.ready:
      raise failures.Failure(503, 'not_ready', 'the server is warming up')
    return {'status': 'ready'}

  @app.get(
    '/metrics',
    tags=['operation'],
    response_class=responses.PlainTextResponse,
  )
  async def counts() -> responses.Response:
    """Counters in the format of Prometheus."""
    return responses.Response(metrics.text(), media_type=metrics_lib.MEDIA_TYPE)


def _add_handlers(app: fastapi.FastAPI, the_site: site.Site) -> None:
  def say(
    request: fastapi.Request,
    failure: failures.Failure,
    headers: Mapping[str, str] | None = None,
  ) -> responses.Response:
    media_type, body = the_site.refuse(request.scope, failure)
    return responses.Response(
      body, failure.status, dict(headers or {}), media_type=media_type
    )

  @app.exception_handler(failures.Failure)
  async def failed(
    request: fastapi.Request, error: failures.Failure
  ) -> responses.Response:
    return say(request, error)

  @app.exception_handler(errors.UserError)
  async def user_error(
    request: fastapi.Request, error: errors.UserError
  ) -> responses.Response:
    return say(request, failures.of_user_error(error))

  @app.exception_handler(exceptions.RequestValidationError)
  async def invalid(
    request: fastapi.Request, error: exceptions.RequestValidationError
  ) -> responses.Response:
    first = error.errors()[0]
    where = [str(x) for x in first['loc'][1:]]
    field = '.'.join(where)[:200]
    if first['type'] == 'json_invalid':
      failure = failures.Failure(
        400, 'not_well_formed', 'the body is no well-formed JSON'
      )
    else:
      message = f'{field}: {first["msg"]}' if field else first['msg']
      failure = failures.Failure(422, 'invalid_input', message[:300], field)
    return say(request, failure)

  @app.exception_handler(starlette_exceptions.HTTPException)
  async def refused(
    request: fastapi.Request, error: starlette_exceptions.HTTPException
  ) -> responses.Response:
    status = error.status_code
    failure = failures.Failure(
      status,
      _CODES.get(status, 'refused'),
      _WORDS.get(status, 'this can’t be answered'),
    )
    return say(request, failure, error.headers)

  @app.exception_handler(Exception)
  async def broken(
    request: fastapi.Request, error: Exception
  ) -> responses.Response:
    request_id = request.scope['state']['request_id']
    _LOG.error('request %s failed', request_id, exc_info=error)
    return say(
      request,
      failures.Failure(
        500, 'internal', 'something went wrong here; the log says more'
      ),
    )
