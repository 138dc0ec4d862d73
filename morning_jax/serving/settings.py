"""What a server lets in, and how much of it."""

from __future__ import annotations

import dataclasses

LOOPBACK = ('localhost', '127.0.0.1', '[::1]')
MOST_K = 200  # the longest ranking
MOST_IDS = 200  # names in one request
LONGEST_NAME = 200  # characters of a name or of a search


@dataclasses.dataclass(frozen=True)
class Settings:
  """Limits and guards of a server.

  Attributes:
    hosts: names by which it may be addressed, in lower case and without a port;
      an IPv6 address in brackets.
    token: the secret that every request must bring; None where only this
      machine reaches the server.
    contact: whom people write to who want to be removed; '' if not said.
    most_body: bytes of a request's body.
    most_at_once: requests that are answered at the same time.
    most_connections: open connections.
    seconds: in which a request must be read and answered.
    header_seconds: in which a request's head must arrive.
    page_rows: influencers on a page of a ranking.
    cache_bytes: of scores that are kept in memory.
    answer_bytes: of answers that are kept in memory.
  """

  hosts: tuple[str, ...] = LOOPBACK
  token: str | None = None
  contact: str = ''
  most_body: int = 1 << 20
  most_at_once: int = 64
  most_connections: int = 512
  seconds: float = 30.0
  header_seconds: float = 10.0
  page_rows: int = 10
  cache_bytes: int = 256 << 20
  answer_bytes: int = 64 << 20
