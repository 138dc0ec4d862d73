r"""Learns planted topics as one of two processes, and stores what it found.

python -m tests.features.topics.of_a_process PORT PROCESS FILE.npz
"""

import sys

import jax
import numpy as np

from morning_jax.features.topics import lda
from morning_jax.features.topics import options as options_lib
from tests.features.topics import planted


def learn() -> dict[str, np.ndarray]:
  """Learns on all devices there are."""
  topics_TxW = planted.topics(5, 12)
  documents, _ = planted.documents(topics_TxW, number=300)
  model = lda.fit(
    [documents],
    planted.vocabulary(topics_TxW.shape[1]),
    4,
    options=options_lib.LdaOptions(passes=2, batch_size=64, shuffle_window=128),
  )
  return {
    'topics': model.topics_TxW,
    'documents': model.infer(documents),
    'perplexity': np.array(model.perplexity([documents])),
  }


def main(port: str, process: str, place: str) -> None:
  """Joins the other process and learns."""
  jax.distributed.initialize(f'127.0.0.1:{port}', 2, int(process))
  assert jax.device_count() == 2 * jax.local_device_count()
  np.savez(place, **learn())


if __name__ == '__main__':
  main(*sys.argv[1:])
