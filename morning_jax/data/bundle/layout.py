"""How a bundle is laid out on disk (SPEC section 9): the names of its files.

Rows of a CSV count as a spreadsheet shows them (the header is row 1), rows of
an array from 0, as NumPy does.
"""

from __future__ import annotations

from morning_jax.core import errors

ACCOUNTS = 'accounts.csv'
INTERACTIONS = 'interactions.csv'
ATTRIBUTES = 'attributes.csv'
ACCOUNT_ATTRIBUTES = 'account_attributes.csv'
GRAPH = 'attribute_graph.csv'
FEATURE_NAMES = 'feature_names.csv'
AUDIENCE = 'audience_members.csv'
PLANTED = 'planted.npy'
RECORDS = 'records.json'  # in place of arrays: ArrayRecord files


class BundleError(errors.UserError):
  """A bundle that can't be read or written; one line names file and row."""
