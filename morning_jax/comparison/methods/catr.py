"""CATR: aspects of texts, matched aspect by aspect.

Source: C. Zhao, C. Li, R. Xiao, H. Deng, A. Sun, "CATN: Cross-Domain
Recommendation for Cold-Start Users via Aspect Transfer Network", SIGIR 2020;
the table of MORNING calls it CATR.

Kept: every word of a document passes an aspect-specific gate; learned aspect
vectors attend over the words, which gives one representation per aspect; all
pairs of aspects of the two documents are matched, weighted by a learned
correlation. Words are the topics here: a topic's embedding represents its
words, and its share in the document for how often they occur.

Left out: the transfer between two domains and the auxiliary reviews of
like-minded users (there is one domain, and no reviews), the convolution over
neighbouring words, the rating's squared error (the data has no ratings: a
softmax over the batch, both ways). Brands and influencers share the parameters.
"""

from __future__ import annotations

import flax.linen as nn
import jax
from jax import numpy as jnp
import numpy as np

from morning_jax.comparison.methods import fold_data
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import pair_module
from morning_jax.comparison.methods import trainer
from morning_jax.core import accounts as accounts_lib
from morning_jax.model import encoders

_TEXT = 'content_text'
_RECIPE = trainer.Recipe(learning_rate=1e-2, steps=200, batch_size=256, l2=1e-3)


class Catr(pair_module.PairModule):
  """Aspects of a document, K of them.

  Attributes:
    aspects: K.
    word: size of a topic's embedding.
    width: D, size of an aspect's representation.
  """

  aspects: int = 4
  word: int = 32
  width: int = 16

  @nn.compact
  def extract(self, share_AxT: jax.Array, present_A: jax.Array) -> jax.Array:
    """Returns the aspects of documents, [A, K, D].

    Args:
      share_AxT: root of each topic's share, times the root of T.
      present_A: bool, who has a text; for others the aspects are zero.
    """
    topics, size = share_AxT.shape[1], self.aspects * self.width
    normal = nn.initializers.normal(1.0)
    word_TxW = self.param('word', normal, (topics, self.word))

    def affine(name: str) -> jax.Array:
      dense = pair_module.make_dense(size, name=name)
      return dense(word_TxW).reshape(topics, self.aspects, self.width)

    gated_TxKxD = affine('value') * nn.sigmoid(affine('gate'))
    query_KxD = self.param('aspect', normal, (self.aspects, self.width))
    affinity_TxK = jnp.einsum('tkd,kd->tk', gated_TxKxD, query_KxD)
    affinity_TxK *= self.width**-0.5
    # Attention over all words: a topic counts as often as it occurs.
    weight_AxTxK = jnp.square(share_AxT)[:, :, None] * jnp.exp(
      affinity_TxK - jnp.max(affinity_TxK, axis=0)
    )
    weight_AxTxK /= jnp.sum(weight_AxTxK, axis=1, keepdims=True) + 1e-6
    aspect_AxKxD = jnp.einsum('atk,tkd->akd', weight_AxTxK, gated_TxKxD)
    return jnp.where(present_A[:, None, None], aspect_AxKxD, 0.0)

  def encode(
    self, inputs: trainer.Inputs, *, role: str, train: bool = False
  ) -> jax.Array:
    """Returns [A, K, D]."""
    del role, train
    table = inputs.table
    return self.extract(table.features[_TEXT], table.present[_TEXT])

  @nn.compact
  def score(self, brands: jax.Array, influencers: jax.Array) -> jax.Array:
    """Matches aspects, [b, m].

    Args:
      brands: [b, K, D].
      influencers: [m, K, D].
    """
    identity = lambda key, shape: jnp.eye(shape[0])  # noqa: E731
    correlation_DxD = self.param(
      'correlation', identity, (self.width, self.width)
    )
    match_BxMxKxK = jnp.einsum('bid,mjd->bmij', brands, influencers)
    affinity_BxMxKxK = nn.leaky_relu(
      jnp.einsum('bid,de,mje->bmij', brands, correlation_DxD, influencers),
      encoders.LEAKY_SLOPE,
    )
    weight_BxMxKxK = nn.softmax(
      affinity_BxMxKxK * self.width**-0.5, axis=(-2, -1)
    )
    return jnp.sum(weight_BxMxKxK * match_BxMxKxK, axis=(-2, -1))


def _score(task: interface.Task) -> np.ndarray:
  features = fold_data.present(task.dataset, (_TEXT,), method='CATR')
  return trainer.run(
    task, features, module=Catr(), loss=pair_module.in_batch, recipe=_RECIPE
  )


def _missing(dataset: accounts_lib.Dataset) -> list[str]:
  return fold_data.missing_notes(dataset, (_TEXT,))


METHOD = interface.Method(
  key='catr',
  name='CATR',
  source=(
    'Zhao et al., CATN: Cross-Domain Recommendation for Cold-Start Users via'
    ' Aspect Transfer Network, SIGIR 2020'
  ),
  score=_score,
  missing=_missing,
  cost=8.0,
)
