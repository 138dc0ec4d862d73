"""Streams whose readers went away."""

import os

from launch import standard_streams


def test_a_stderr_that_went_away_is_no_reason_to_end():
  reader, writer = os.pipe()
  os.close(reader)
  with os.fdopen(writer, 'w', 1) as broken:
    stream = standard_streams.Lasting(broken)
    print('a note', file=stream, flush=True)
    print('another', file=stream, flush=True)
    assert stream.fileno() == writer
