"""What the server counts, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import prometheus_client

MEDIA_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
_METHODS = frozenset({'GET', 'HEAD', 'POST'})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


class Metrics:
  """Counters of one server; names of people and brands are not among them."""

  def __init__(self) -> None:
    """Starts at zero."""
    self._registry = prometheus_client.CollectorRegistry()
    self._requests = prometheus_client.Counter(
      'morning_requests',
      'Requests that were answered.',
      ['route', 'method', 'status'],
      registry=self._registry,
    )
    self._seconds = prometheus_client.Histogram(
      'morning_request_seconds',
      'Time to answer.',
      ['route'],
      buckets=_SECONDS,
      registry=self._registry,
    )
    self._at_once = prometheus_client.Gauge(
      'morning_requests_at_once',
      'Requests that are being answered.',
      registry=self._registry,
    )
    self._accounts = prometheus_client.Gauge(
      'morning_accounts',
      'Accounts in memory.',
      ['role'],
      registry=self._registry,
    )

  def set_accounts(self, role: str, count: int) -> None:
    """Says how many accounts there are."""
    self._accounts.labels(role).set(count)

  def count(
    self,
    scope: MutableMapping[str, Any],
    status: int,
    seconds: float,
    at_once: int,
  ) -> None:
    """Counts a request that is over.

    Args:
      scope: of ASGI.
      status: of the answer; 0 where the client went away.
      seconds: it took.
      at_once: others that are being answered.
    """
    # The route's pattern and no address: those have names in them.
    route = getattr(scope.get('route'), 'path', 'none')
    method = scope['method'] if scope['method'] in _METHODS else 'other'
    self._requests.labels(route, method, str(status)).inc()
    self._seconds.labels(route).observe(seconds)
    self._at_once.set(at_once)

  def text(self) -> bytes:
    """Returns all of it."""
    return prometheus_client.generate_latest(self._registry)
