"""Names of accounts are checked before anything is encoded."""

import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import encoding


@pytest.mark.parametrize(
  ('role', 'name', 'message'),
  [
    (accounts_lib.BRAND, 'shoes_1', r"brand 'shoes_1' is none of the 48"),
    (accounts_lib.INFLUENCER, 'creator_9999', 'influencer .* none of the 480'),
    (accounts_lib.INFLUENCER, 'drink_02', 'a brand has that name'),
  ],
)
def test_a_name_that_none_has_is_told_before_encoding(
  workdir, monkeypatch, role, name, message
):
  def encode(*args, **kwargs):
    raise AssertionError('encoded')

  monkeypatch.setattr(encoding, 'encode_role', encode)
  with pytest.raises(errors.UserError, match=message):
    catalogue_lib.open_catalogue(
      workdir, asked_of=[(accounts_lib.BRAND, 'shoes_01'), (role, name)]
    )


def test_names_that_are_there_stop_nothing(workdir, trained_catalogue):
  catalogue = catalogue_lib.open_catalogue(
    workdir,
    asked_of=[
      (accounts_lib.BRAND, 'shoes_01'),
      (accounts_lib.INFLUENCER, 'creator_0003'),
    ],
  )
  assert catalogue.bundle_fingerprint == trained_catalogue.bundle_fingerprint
