"""An account that is forgotten is gone from every file, or nothing changed."""

import csv
import os

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data.bundle import bundle
from morning_jax.data.bundle import forgetting
from morning_jax.data.bundle import layout
from tests import runs

NAME = 'creator_0003'


@pytest.fixture
def folder(tmp_path):
  """A bundle in which one name is a brand and an influencer; a column more."""
  folder = runs.write_bundle(tmp_path / 'bundle')
  with (folder / 'accounts.csv').open(newline='') as f:
    rows = list(csv.reader(f))
  rows[0].append('e_mail')
  for row in rows[1:]:
    row.append(f'{row[0]}@example.com')
    if row[1] == 'brand' and row[0] == 'drink_02':
      row[0] = NAME
  with (folder / 'accounts.csv').open('w', newline='') as f:
    csv.writer(f).writerows(rows)
  path = folder / 'interactions.csv'
  path.write_text(path.read_text().replace('drink_02,', f'{NAME},'))
  path = folder / 'account_attributes.csv'
  path.write_text(path.read_text().replace('d,drink_02,', f'd,{NAME},'))
  (folder / 'audience_members.csv').write_text(
    'role,account_id,member\n'
    + ''.join(
      f'{role},{name},{n:08x}\n'
      for role, name in (('influencer', NAME), ('influencer', 'creator_0001'))
      for n in range(5)
    )
  )
  (folder / 'notes.txt').write_text(f'{NAME} is nice')
  return folder


def snapshot(folder):
  return {
    p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()
  }


def forget(folder, name=NAME, role=accounts_lib.INFLUENCER):
  accounts = bundle.read_bundle(folder).accounts
  place = forgetting.find(accounts, name, role)
  with forgetting.held(folder):
    return place, forgetting.forget(folder, accounts, place)


@pytest.mark.parametrize('role', [accounts_lib.BRAND, accounts_lib.INFLUENCER])
@pytest.mark.parametrize('can_exchange', [True, False])
def test_what_is_left_is_the_data_set_without_it(
  folder, role, can_exchange, monkeypatch
):
  if not can_exchange:
    monkeypatch.setattr(files, '_exchanged', lambda one, other: False)
  before = bundle.read_bundle(folder)
  place, done = forget(folder, role=role)
  after = bundle.read_bundle(folder)
  kept = np.arange(len(before.accounts)) != place.row
  assert before.accounts.ids[place.row] == NAME
  assert after.accounts.ids.tolist() == before.accounts.ids[kept].tolist()
  assert after.accounts.roles.tolist() == before.accounts.roles[kept].tolist()
  for feature, array in before.features.items():
    np.testing.assert_array_equal(after.features[feature], array[kept])
  np.testing.assert_array_equal(after.planted, before.planted[kept])
  column = 0 if role == accounts_lib.BRAND else 1
  pairs = before.positives_Px2[before.positives_Px2[:, column] != place.row]
  names = before.accounts.ids[pairs].tolist()
  assert after.accounts.ids[after.positives_Px2].tolist() == names
  lost = len(before.positives_Px2) - len(pairs)
  assert lost and done.rows['interactions.csv'] == lost
  held = before.attributes.holder != place.row
  assert len(after.attributes.holder) == held.sum() < len(held)
  is_influencer = role == accounts_lib.INFLUENCER
  assert len(after.audience.holder) == (5 if is_influencer else 10)
  # What no reader knows is kept, and told of; nothing else is left behind.
  header, *rows = (folder / 'accounts.csv').read_text().splitlines()
  assert header.endswith(',e_mail') and rows[0].endswith('@example.com')
  assert done.unknown == ('notes.txt',)
  assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_failure_changes_nothing(folder, monkeypatch):
  before = snapshot(folder)
  monkeypatch.setattr(
    files, 'sync_tree', lambda draft: (_ for _ in ()).throw(OSError('full'))
  )
  with pytest.raises(OSError, match='full'):
    forget(folder)
  assert snapshot(folder) == before
  assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_kill_between_two_moves_is_undone(folder, monkeypatch):
  before = snapshot(folder)
  folder.replace(folder.parent / f'.{folder.name}.before')
  with forgetting.held(folder):
    assert snapshot(folder) == before


def test_what_is_left_must_be_a_bundle(tmp_path):
  (tmp_path / 'accounts.csv').write_text(
    'account_id,role,category,split\nnike,brand,,train\nann,influencer,,\n'
  )
  (tmp_path / 'interactions.csv').write_text(
    'brand_id,influencer_id\nnike,ann\n'
  )
  np.save(tmp_path / 'content_text.npy', np.ones((2, 3), np.float32))
  before = snapshot(tmp_path)
  with pytest.raises(layout.BundleError, match='delete the folder instead'):
    forget(tmp_path, 'ann')
  assert snapshot(tmp_path) == before


def test_a_name_of_two_accounts_needs_a_role(folder):
  accounts = bundle.read_bundle(folder).accounts
  with pytest.raises(errors.UserError, match='--role=brand'):
    forgetting.find(accounts, NAME)
  assert forgetting.find(accounts, 'creator_0001').role == 1
  assert forgetting.find(accounts, 'creator_9999') is None
  assert forgetting.find(accounts, 'creator_0001', accounts_lib.BRAND) is None


def test_two_at_once_are_one_after_the_other(folder):
  with (
    forgetting.held(folder),
    pytest.raises(errors.TransientError, match='another process'),
    forgetting.held(folder),
  ):
    pass


def test_a_link_to_a_bundle_stays_one(folder):
  link = folder.parent / 'link'
  link.symlink_to(folder)
  forget(link)
  assert link.is_symlink() and os.path.samefile(link, folder)
  ids = bundle.read_bundle(folder).accounts
  assert forgetting.find(ids, NAME).role == accounts_lib.BRAND
