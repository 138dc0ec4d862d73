r"""Removes an account from a bundle, for a person who asks for it.

Examples:
  python -m launch.forget --bundle=my_bundle --account=ann
  python -m launch.forget --bundle=my_bundle --account=nike --role=influencer \
    --index=catalogue.npy --exclude=left_out.txt

The bundle is rewritten as a whole or not at all. Asked a second time, the
command finds nobody and ends well. A model that was trained with the account
has to be trained again (docs/privacy.md).
"""

from __future__ import annotations

import pathlib

from absl import flags

from launch import command_line
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.data.bundle import forgetting
from morning_jax.recommend import forgetting as made_of_bundle
from morning_jax.reporting import console

_BUNDLE = flags.DEFINE_string(
  'bundle', None, 'The folder of the bundle.', required=True
)
_ACCOUNT = flags.DEFINE_string(
  'account', None, 'The name of the account.', required=True
)
_ROLE = flags.DEFINE_enum(
  'role',
  None,
  list(accounts_lib.ROLES),
  'Which account, where a brand and an influencer have the name.',
)
_INDEX = flags.DEFINE_list(
  'index', [], "Encoded catalogues of the bundle's influencers, .npy files."
)
_EXCLUDE = flags.DEFINE_string(
  'exclude',
  None,
  'Add an influencer to this file, which launch.recommend and launch.serve'
  ' take, so that newly imported data does not bring it back.',
)
_FILES = {
  'accounts.csv': 'the account',
  'interactions.csv': 'cooperations',
  'account_attributes.csv': 'attributes',
  'audience_members.csv': 'hashed followers',
}


def main(argv: list[str]) -> None:
  """Removes the account that the flags name."""
  del argv
  folder, name = pathlib.Path(_BUNDLE.value), _ACCOUNT.value
  role = None if _ROLE.value is None else accounts_lib.ROLES.index(_ROLE.value)
  command_line.check_output_files(exclude=_EXCLUDE.value)
  with forgetting.held(folder):
    accounts = bundle_lib.read_bundle(folder).accounts
    place = forgetting.find(accounts, name, role)
    shown = errors.quoted(name, limit=60)
    if place is None:
      for index in _INDEX.value:
        made_of_bundle.check_index(
          index, len(accounts.rows_of(accounts_lib.INFLUENCER))
        )
      who = 'nobody' if role is None else f'no {accounts_lib.ROLES[role]}'
      hint = forgetting.near(accounts, name)
      console.say(f'{folder}: {who} is named {shown}{hint}; nothing to remove')
    else:
      _forget(folder, accounts, place)
  is_influencer = (place and place.role) != accounts_lib.BRAND
  if _EXCLUDE.value and is_influencer and role != accounts_lib.BRAND:
    added = made_of_bundle.exclude(_EXCLUDE.value, name)
    console.say(
      f'{_EXCLUDE.value}: {shown} {"added" if added else "is there already"}'
    )


def _forget(
  folder: pathlib.Path,
  accounts: accounts_lib.Accounts,
  place: forgetting.Place,
) -> None:
  role, name = accounts_lib.ROLES[place.role], str(accounts.ids[place.row])
  if place.role == accounts_lib.INFLUENCER:
    for index in _INDEX.value:
      had = made_of_bundle.forget_in_index(index, place)
      console.say(f'{index}: {"removed" if had else "is not in it any more"}')
  done = forgetting.forget(folder, accounts, place)
  told = [
    _counted(file, count, words)
    for file, words in _FILES.items()
    if (count := done.rows.get(file))
  ]
  arrays = sum(file.endswith('.npy') for file in done.rows)
  if arrays:
    told.append(f'a row of {arrays} array{"s"[: arrays - 1]}')
  console.say(
    f'{folder}: {role} {errors.quoted(name, limit=60)} removed: '
    + ', '.join(told)
  )
  if others := ', '.join(done.unknown)[:150]:
    console.note(
      f'left as they are, no files of a bundle: {others};'
      ' see whether they name the account'
    )
  console.note(
    'models that were trained with the account still have what they learned of'
    ' it: train again (docs/privacy.md)'
  )


def _counted(file: str, count: int, words: str) -> str:
  if file == 'accounts.csv' and count == 1:
    return words
  return f'{count:,} {words.removesuffix("s") if count == 1 else words}'


if __name__ == '__main__':
  command_line.run(main)
