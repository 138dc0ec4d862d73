"""Micro-influencer ranking for brands by multi-perspective representations."""

__version__ = '0.3.0'
