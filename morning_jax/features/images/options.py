"""What can be chosen about pictures."""

from __future__ import annotations

import dataclasses

DEFAULT_ENCODER = 'imagenet-resnet50+places365-resnet50'


@dataclasses.dataclass(frozen=True)
class ImageOptions:
  """How pictures become features; plain values, as JSON has them.

  Attributes:
    encoder: `NAME[:ARGUMENT]`, or several of them joined by `+`, of the names
      in `encoders.names()`; what an argument means, the encoder says.
    weights: folder where weights lie and are downloaded to; None where none
      are needed.
    download: whether weights that are not there may be downloaded.
    batch_size: pictures encoded at once. Numbers differ in their last bits from
      one size to another, and never within one.
    threads: that decode pictures; None takes one for each processor.
    threshold: confidence below which a class does not count (eq. 4).
    same_bits: bits, of 64, in which the difference hashes of a picture and its
      re-post may differ; below 0, every picture is encoded for itself.
  """

  encoder: str = DEFAULT_ENCODER
  weights: str | None = None
  download: bool = False
  batch_size: int = 32
  threads: int | None = None
  threshold: float = 0.1
  same_bits: int = 2
