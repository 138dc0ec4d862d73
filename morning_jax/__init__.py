"""Micro-influencer ranking for brands by multi-perspective representations.

Importing the package registers the TFDS builder `brand_micro_influencer`.
"""

from morning_jax.data.tfds import builder as _builder  # noqa: F401

__version__ = '0.2.0'
