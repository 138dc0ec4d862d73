"""Bundles: what is read is what was written, and mistakes name file and row."""

import dataclasses
import shutil

import numpy as np
import pytest

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.bundle import bundle
from morning_jax.data.bundle import layout

ACCOUNTS = """account_id,role,category,split
nike,brand,shoes,train
espn,brand,media,test
ann,influencer,,
bob,influencer,,
nike,influencer,,
"""
INTERACTIONS = """brand_id,influencer_id
nike,ann
nike,nike
espn,bob
"""


@pytest.fixture
def folder(tmp_path):
  """A small, correct bundle, in which `nike` is a brand and an influencer."""
  (tmp_path / 'accounts.csv').write_text(ACCOUNTS)
  (tmp_path / 'interactions.csv').write_text(INTERACTIONS)
  text = np.arange(10, dtype=np.float32).reshape(5, 2)
  text[3] = np.nan
  np.save(tmp_path / 'content_text.npy', text)
  return tmp_path


def error_of(folder) -> str:
  with pytest.raises(layout.BundleError) as e:
    bundle.read_bundle(folder)
  message = str(e.value)
  assert '\n' not in message and len(message) <= 300
  return message


def edit(folder, name, old, new):
  path = folder / name
  text = path.read_text()
  assert old in text
  path.write_text(text.replace(old, new))


def test_reads_roles_splits_and_missing_rows(folder):
  data = bundle.read_bundle(folder)
  # nike the brand is row 0, nike the influencer row 4.
  assert data.positives_Px2.tolist() == [[0, 2], [0, 4], [1, 3]]
  assert data.accounts.roles.tolist() == [0, 0, 1, 1, 1]
  assert data.accounts.splits.tolist() == ['train', 'test', '', '', '']
  assert data.feature_sizes == {'content_text': 2}
  assert np.isnan(data.features['content_text'][3]).all()
  assert data.accounts.found_under is None
  assert data.notes == ()


def test_columns_may_stand_in_any_order_with_a_byte_order_mark(folder):
  (folder / 'accounts.csv').write_text(
    '\ufeffsplit,account_id,extra,category,role\r\n'
    'train,nike,1,shoes,brand\r\n'
    ',"a, b",2,,influencer\r\n',
    encoding='utf-8',
  )
  (folder / 'interactions.csv').write_text(
    'influencer_id,brand_id\n"a, b",nike\n'
  )
  np.save(folder / 'content_text.npy', np.ones((2, 3)))
  data = bundle.read_bundle(folder)
  assert data.accounts.ids.tolist() == ['nike', 'a, b']
  assert data.features['content_text'].dtype == np.float32


def full_dataset() -> accounts_lib.Dataset:
  rng = np.random.default_rng(0)
  features = {
    f: rng.random((5, 3 + i)).astype(np.float32)
    for i, f in enumerate(accounts_lib.FEATURES)
  }
  features['audience_image'][2] = np.nan
  return accounts_lib.Dataset(
    name='full',
    accounts=accounts_lib.Accounts(
      ids=np.array(['b1', 'b "2"', 'm,1', 'm2', 'b1']),
      roles=np.array([0, 0, 1, 1, 1], np.int8),
      categories=np.array(['x', 'y', '', '', '']),
      splits=np.array(['train', 'valid', '', '', '']),
      found_under=np.array(['', '', 'x', 'y', '']),
      followers=np.array([-1, 7, 5000, 100_000, -1]),
      biographies=np.array(['', 'line one\nline two', 'é', '', '']),
    ),
    features=features,
    positives_Px2=np.array([[1, 3], [0, 2], [0, 4]]),
    attributes=accounts_lib.Attributes(
      names_V=np.array(['chef', 'dog', 'art']),
      ids_V=np.array(['10', '20', 'a']),
      holder=np.array([0, 0, 3]),
      held=np.array([0, 2, 1]),
      edges_Ex2=np.array([[0, 1], [1, 0], [2, 1]]),
      weight_E=np.array([0.71, 28.35, 1 / 3], np.float32),
    ),
    planted=rng.normal(size=(5, 2)).astype(np.float32),
  )


def assert_same(a: accounts_lib.Dataset, b: accounts_lib.Dataset) -> None:
  for field in ('ids', 'roles', 'categories', 'splits'):
    np.testing.assert_array_equal(
      getattr(a.accounts, field), getattr(b.accounts, field)
    )
  for field in ('found_under', 'followers', 'biographies'):
    one, other = getattr(a.accounts, field), getattr(b.accounts, field)
    assert (one is None) == (other is None)
    if one is not None:
      np.testing.assert_array_equal(one, other)
  assert a.feature_sizes == b.feature_sizes
  for f in a.features:
    np.testing.assert_array_equal(a.features[f], b.features[f])
  np.testing.assert_array_equal(a.positives_Px2, b.positives_Px2)
  if a.planted is not None:
    np.testing.assert_array_equal(a.planted, b.planted)
  assert (a.attributes is None) == (b.attributes is None)
  if a.attributes is not None:
    for field in (
      'names_V',
      'ids_V',
      'holder',
      'held',
      'edges_Ex2',
      'weight_E',
    ):
      np.testing.assert_array_equal(
        getattr(a.attributes, field), getattr(b.attributes, field)
      )


def test_what_is_written_is_read_back(tmp_path):
  data = full_dataset()
  bundle.write_bundle(data, tmp_path / 'out')
  assert_same(data, bundle.read_bundle(tmp_path / 'out'))


def change(dataset, **accounts) -> accounts_lib.Dataset:
  return dataclasses.replace(
    dataset, accounts=dataclasses.replace(dataset.accounts, **accounts)
  )


def test_what_needs_quotes_is_read_back(tmp_path):
  biographies = ['a\rb', ' \r\n', 'x' * 10_000, '"', ';\t,']
  data = change(full_dataset(), biographies=np.array(biographies))
  bundle.write_bundle(data, tmp_path / 'out')
  assert_same(data, bundle.read_bundle(tmp_path / 'out'))


def test_a_fold_is_not_written(tmp_path):
  """Its other brands have no split, and a brand of a bundle has one."""
  data = change(full_dataset(), splits=np.array(['train', '', '', '', '']))
  with pytest.raises(layout.BundleError) as e:
    bundle.write_bundle(data, tmp_path / 'out')
  assert f'{tmp_path / "out"}: not written: accounts.csv, row 3: split' in str(
    e.value
  )
  assert not list(tmp_path.iterdir())


UNWRITABLE = {
  'white space around an id': (
    dict(ids=np.array([' b1', 'b2', 'm1', 'm2', 'b1'])),
    'account ids would not be read back',
  ),
  'an id twice': (
    dict(ids=np.array(['b1', 'b1', 'm1', 'm2', 'b1'])),
    "accounts.csv, row 3: brand 'b1' is already",
  ),
  'an empty id': (dict(ids=np.array(['b', '', 'm', 'n', 'b'])), 'is empty'),
  'a NUL inside an id': (
    dict(ids=np.array(['b', 'b\0c', 'm', 'n', 'b'])),
    'accounts.csv, row 3: holds a NUL',
  ),
  'a surrogate': (
    dict(categories=np.array(['x', '\ud800', '', '', ''])),
    'is no valid text',
  ),
  'a split of an influencer': (
    dict(splits=np.array(['train', 'valid', 'test', '', ''])),
    'splits would not be read back',
  ),
  'followers below -1': (
    dict(followers=np.array([-2, 0, 0, 0, 0])),
    'followers would not be read back',
  ),
}


@pytest.mark.parametrize('name', UNWRITABLE)
def test_what_could_not_be_read_back_is_not_written(tmp_path, name):
  accounts, said = UNWRITABLE[name]
  with pytest.raises(layout.BundleError) as e:
    bundle.write_bundle(change(full_dataset(), **accounts), tmp_path / 'out')
  assert said in str(e.value)
  assert len(str(e.value)) <= 300
  assert not list(tmp_path.iterdir())


def test_features_and_pairs_that_could_not_be_read_back(tmp_path):
  data = full_dataset()
  large = {'content_image': np.full((5, 2), 1e39)}
  twice = np.repeat(data.positives_Px2, 2, axis=0)
  for other, said in (
    (dataclasses.replace(data, features=large), 'infinity in column 0'),
    (dataclasses.replace(data, positives_Px2=twice), 'interactions would not'),
    (
      dataclasses.replace(data, features={'other': np.ones((5, 2))}),
      'other would not be read back',
    ),
  ):
    with pytest.raises(layout.BundleError, match=said):
      bundle.write_bundle(other, tmp_path / 'out')
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path):
  (tmp_path / 'out').mkdir()
  (tmp_path / 'out' / 'mine.txt').write_text('keep')
  with pytest.raises(layout.BundleError, match='exists already'):
    bundle.write_bundle(full_dataset(), tmp_path / 'out')
  assert [p.name for p in tmp_path.rglob('*')] == ['out', 'mine.txt']


def test_duplicate_interactions_are_merged_and_counted(folder):
  with (folder / 'interactions.csv').open('a') as f:
    f.write('nike,ann\nespn,bob\nnike,ann\n')
  data = bundle.read_bundle(folder)
  assert len(data.positives_Px2) == 3
  assert any('3 duplicate interactions merged' in n for n in data.notes)


def test_a_brand_without_positives_is_left_out_and_counted(folder):
  edit(folder, 'interactions.csv', 'espn,bob\n', '')
  data = bundle.read_bundle(folder)
  assert any(
    '1 brands without a positive are left out' in n for n in data.notes
  )


MISTAKES = {
  # name: (file, old text, new text, what the message must say)
  'missing column': ('accounts.csv', ',split', '', ['row 1', 'split']),
  'unknown role': (
    'accounts.csv',
    'bob,influencer',
    'bob,influenser',
    ['accounts.csv, row 5', 'influenser', 'near: influencer'],
  ),
  'unknown split': (
    'accounts.csv',
    'media,test',
    'media,tset',
    ['accounts.csv, row 3', 'tset', 'near: test'],
  ),
  'brand without split': (
    'accounts.csv',
    'media,test',
    'media,',
    ['accounts.csv, row 3', "split '' of brand 'espn'", 'is left out'],
  ),
  'a NUL at the end of an id': (
    'accounts.csv',
    'bob,influencer',
    'ann\0,influencer',
    ['accounts.csv, row 5', 'NUL'],
  ),
  'an id of 240,000 characters': (
    'accounts.csv',
    'bob,influencer',
    'b' * 240_000 + ',influencer',
    ['accounts.csv, row 5', 'more than 131,072 characters'],
  ),
  'an id of 2,000 characters': (
    'accounts.csv',
    'bob,influencer',
    'b' * 2_000 + ',influencer',
    ['accounts.csv, row 5', 'account_id has 2,000 characters'],
  ),
  'a long unknown role': (
    'accounts.csv',
    'bob,influencer',
    'bob,' + 'r' * 900,
    ['row 5', f"role '{'r' * 75}...' is neither"],
  ),
  'a long unknown name': (
    'interactions.csv',
    'espn,bob',
    'espn,' + 'b' * 900,
    ['row 4', f"influencer '{'b' * 75}...' is not in"],
  ),
  'a column twice': (
    'accounts.csv',
    ',split\n',
    ',split,Split\n',
    ['row 1', 'twice'],
  ),
  'a semicolon among commas': (
    'accounts.csv',
    'role,category',
    'role;category',
    ['row 1', 'no column role, category', 'semicolons'],
  ),
  'duplicate account': (
    'accounts.csv',
    'bob,',
    'ann,',
    ['accounts.csv, row 5', "'ann'", 'row 4'],
  ),
  'empty id': ('accounts.csv', 'bob,', ',', ['row 5', 'account_id is empty']),
  'short row': (
    'accounts.csv',
    'bob,influencer,,',
    'bob,influencer',
    ['row 5'],
  ),
  'unknown influencer': (
    'interactions.csv',
    'espn,bob',
    'espn,bobb',
    ['interactions.csv, row 4', "'bobb'", 'near: bob'],
  ),
  'unknown brand': (
    'interactions.csv',
    'espn,bob',
    'ann,bob',
    ['interactions.csv, row 4', "brand 'ann'", '(an influencer has that name)'],
  ),
  'no interactions': (
    'interactions.csv',
    INTERACTIONS.split('\n', 1)[1],
    '',
    ['interactions.csv', 'no interactions'],
  ),
  'empty bundle': (
    'accounts.csv',
    ACCOUNTS.split('\n', 1)[1],
    '',
    ['accounts.csv', 'no accounts'],
  ),
  'empty file': ('accounts.csv', ACCOUNTS, '', ['accounts.csv, row 1']),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_in_the_tables(folder, name):
  file, old, new, said = MISTAKES[name]
  edit(folder, file, old, new)
  message = error_of(folder)
  for text in said:
    assert text in message


def test_rows_are_counted_as_records(folder):
  """A spreadsheet shows the row after a biography of three lines as row 3."""
  (folder / 'accounts.csv').write_text(
    'account_id,role,category,split,biography\n'
    'nike,brand,shoes,train,"just\ndo\nit"\n'
    'ann,influenser,,,\n'
  )
  assert 'accounts.csv, row 3: role' in error_of(folder)


@pytest.mark.parametrize(
  ('followers', 'said'),
  [
    (str(1 << 63), 'is too large a number'),
    ('9' * 5_000, 'followers has 5,000 characters'),
    ('9' * 900, f"followers '{'9' * 75}...' is too large"),
    ('-1', 'is negative'),
    ('1.5', 'is not a whole number'),
    ('1_000', 'is not a whole number'),
    ('١٢', 'is not a whole number'),
    ('many', 'is not a whole number'),
  ],
)
def test_mistakes_in_the_followers(folder, followers, said):
  lines = [
    line + f',{0 if i else "followers"}'
    for i, line in enumerate(ACCOUNTS.splitlines())
  ]
  lines[3] = lines[3][:-1] + followers
  (folder / 'accounts.csv').write_text('\n'.join(lines))
  message = error_of(folder)
  assert 'accounts.csv, row 4: followers' in message
  assert said in message


def test_followers_up_to_what_an_int64_holds(folder):
  counts = ['followers', '', '0', '+7', '-0', str((1 << 63) - 1)]
  (folder / 'accounts.csv').write_text(
    ''.join(
      f'{line},{count}\n'
      for line, count in zip(ACCOUNTS.splitlines(), counts, strict=True)
    )
  )
  read = bundle.read_bundle(folder).accounts.followers
  assert read.tolist() == [-1, 0, 7, 0, (1 << 63) - 1]


@pytest.mark.parametrize('separator', [';', '\t'])
def test_other_separators_and_capitals(folder, separator):
  plain = bundle.read_bundle(folder)
  text = (
    ACCOUNTS.replace('brand', 'Brand')
    .replace('influencer', 'INFLUENCER')
    .replace('train', 'Train')
    .replace('account_id,role', 'Account_ID,ROLE')
  )
  for name, content in (('accounts', text), ('interactions', INTERACTIONS)):
    (folder / f'{name}.csv').write_text(content.replace(',', separator))
  assert_same(bundle.read_bundle(folder), plain)


@pytest.mark.parametrize(
  'name',
  [
    'accounts.csv',
    'interactions.csv',
    'content_text.npy',
    'audience_image.npy',
    'attributes.csv',
    'account_attributes.csv',
    'attribute_graph.csv',
    'planted.npy',
    'feature_names.csv',
    'audience_members.csv',
  ],
)
@pytest.mark.parametrize('target', ['nothing', 'itself', '/dev/zero'])
def test_a_link_to_what_is_no_file(folder, name, target):
  (folder / name).unlink(missing_ok=True)
  if name in ('account_attributes.csv', 'attribute_graph.csv'):
    (folder / 'attributes.csv').write_text('attribute_id,name\n0,a\n')
  (folder / name).symlink_to(name if target == 'itself' else target)
  message = error_of(folder)
  assert f'{folder / name}: ' in message
  said = {'nothing': 'is a link', 'itself': 'symbolic', '/dev/zero': 'a device'}
  assert said[target] in message


def test_files_of_other_tools_are_left_alone(folder):
  (folder / 'notes.csv').write_bytes(b'\0')
  (folder / 'brand_content_image.npy').write_bytes(b'')
  assert bundle.read_bundle(folder).feature_sizes == {'content_text': 2}


@pytest.mark.parametrize('name', ['accounts.csv', 'interactions.csv'])
def test_missing_file(folder, name):
  (folder / name).unlink()
  assert name in error_of(folder)


def test_missing_folder(tmp_path):
  assert 'no such folder' in error_of(tmp_path / 'nowhere')


def test_no_features(folder):
  (folder / 'content_text.npy').unlink()
  assert 'content_text.npy' in error_of(folder)


def test_not_text(folder):
  (folder / 'accounts.csv').write_bytes(b'account_id,role\xff\xfe')
  assert 'UTF-8' in error_of(folder)


def test_wrong_row_count(folder):
  np.save(folder / 'content_text.npy', np.ones((4, 2), np.float32))
  message = error_of(folder)
  assert 'content_text.npy' in message
  assert '4 rows' in message
  assert '5 accounts' in message


@pytest.mark.parametrize(
  ('value', 'what'), [(np.nan, 'NaN'), (np.inf, 'infinity'), (1e39, 'infinity')]
)
def test_a_bad_number_inside_a_row(folder, value, what):
  x = np.ones((5, 2))
  x[2, 1] = value
  np.save(folder / 'content_text.npy', x)
  message = error_of(folder)
  assert 'content_text.npy, row 2' in message
  assert "influencer 'ann'" in message
  assert f'{what} in column 1' in message


def test_a_row_of_infinities_is_no_missing_row(folder):
  np.save(folder / 'content_text.npy', np.full((5, 2), -np.inf, np.float32))
  assert 'infinity in column 0' in error_of(folder)


@pytest.mark.parametrize('feature', ['content_text', 'audience_text'])
def test_negative_topic_weight(folder, feature):
  x = np.ones((5, 2), np.float32)
  x[1, 0] = -0.25
  np.save(folder / f'{feature}.npy', x)
  message = error_of(folder)
  assert f'{feature}.npy, row 1' in message
  assert '-0.25' in message


def test_other_features_may_be_negative(folder):
  np.save(folder / 'attribute_embedding.npy', -np.ones((5, 2), np.float32))
  assert 'attribute_embedding' in bundle.read_bundle(folder).features


def test_pickles_are_refused(folder):
  np.save(folder / 'content_text.npy', np.array([[{}]] * 5, object))
  assert 'pickled' in error_of(folder)


def test_a_bare_pickle_is_refused(folder):
  import pickle

  (folder / 'content_text.npy').write_bytes(pickle.dumps([1.0]))
  assert 'content_text.npy' in error_of(folder)


@pytest.mark.parametrize('size', [0, 5, 60, 130, 167])
def test_truncated_array(folder, size):
  path = folder / 'content_text.npy'
  path.write_bytes(path.read_bytes()[:size])
  assert 'content_text.npy' in error_of(folder)


@pytest.mark.parametrize(
  'array',
  [
    np.array(['a'] * 5),
    np.ones(5, np.complex64),
    np.ones((5, 0)),
    np.ones(5),
    np.ones((5, 2, 2)),
  ],
)
def test_arrays_of_another_kind(folder, array):
  np.save(folder / 'content_text.npy', array)
  assert 'content_text.npy' in error_of(folder)


def test_an_archive_is_no_array(folder):
  np.savez(folder / 'x.npz', np.ones((5, 2)))
  shutil.move(folder / 'x.npz', folder / 'content_text.npy')
  assert 'not numbers' in error_of(folder)


def test_two_attributes_of_one_name(folder):
  attributes = folder / 'attributes.csv'
  attributes.write_text('attribute_id,name\n0,a\n1,b\n2,a\n')
  assert "attributes.csv, row 4: name 'a' is already in row 2" in error_of(
    folder
  )
  attributes.write_text('attribute_id,name\n0,a\n1,b\n0,c\n')
  assert "row 4: attribute_id '0' is already in row 2" in error_of(folder)
  attributes.write_text('attribute_id,name\n0,a\n1,\n')
  assert 'row 3: name is empty' in error_of(folder)


def test_duplicate_attributes_of_an_account_are_merged_and_counted(folder):
  (folder / 'attributes.csv').write_text('attribute_id,name\n0,a\n1,b\n')
  (folder / 'account_attributes.csv').write_text(
    'role,account_id,attribute_id\nBrand,nike,1\nbrand,nike,0\nbrand,nike,1\n'
  )
  data = bundle.read_bundle(folder)
  assert data.attributes.holder.tolist() == [0, 0]
  assert data.attributes.held.tolist() == [0, 1]
  assert data.notes == ('account_attributes.csv: 1 duplicate rows merged',)


def test_how_edges_in_both_directions_were_read_is_a_note(folder):
  (folder / 'attributes.csv').write_text('attribute_id,name\n0,a\n1,b\n2,c\n')
  (folder / 'attribute_graph.csv').write_text(
    'source,target,weight\n0,1,2\n1,0,2.0\n1,2,3\n'
  )
  assert bundle.read_bundle(folder).notes == (
    'attribute_graph.csv: 1 of 2 edges are listed in both directions, 1 of them'
    ' with one weight; these keep it',
  )


GRAPH_MISTAKES = {
  'unknown attribute': ('0,9,1.0', "'9' is not in attributes.csv"),
  'self-loop': ('1,1,1.0', 'to itself'),
  'zero weight': ('0,1,0', "'0' is not a positive"),
  'not a number': ('0,1,x', "'x' is not a positive"),
  'infinite': ('0,1,inf', 'not a positive finite'),
  'NaN': ('0,1,nan', 'not a positive finite'),
  'too large for float32': ('0,1,1e39', 'not a positive finite'),
  'too small for float32': ('0,1,1e-50', 'not a positive finite'),
  'a decimal comma': ('0,1,"0,71"', 'decimals follow a point'),
}


@pytest.mark.parametrize('name', GRAPH_MISTAKES)
def test_mistakes_in_the_graph(folder, name):
  row, said = GRAPH_MISTAKES[name]
  (folder / 'attributes.csv').write_text('attribute_id,name\n0,a\n1,b\n')
  (folder / 'attribute_graph.csv').write_text(f'source,target,weight\n{row}\n')
  message = error_of(folder)
  assert 'attribute_graph.csv, row 2' in message
  assert said in message


def test_an_edge_may_stand_in_both_directions_but_not_twice(folder):
  (folder / 'attributes.csv').write_text('attribute_id,name\n0,a\n1,b\n')
  graph = folder / 'attribute_graph.csv'
  graph.write_text('source,target,weight\n0,1,2\n1,0,0.71\n')
  edges = bundle.read_bundle(folder).attributes.edges_Ex2
  assert edges.tolist() == [[0, 1], [1, 0]]
  graph.write_text('source,target,weight\n0,1,2\n1,0,0.71\n0,1,3\n')
  assert "row 4: the edge from '0' to '1' is already in row 2" in error_of(
    folder
  )


def test_attributes_of_unknown_accounts(folder):
  (folder / 'attributes.csv').write_text('attribute_id,name\n0,a\n')
  held = folder / 'account_attributes.csv'
  held.write_text('role,account_id,attribute_id\nbrand,nobody,0\n')
  message = error_of(folder)
  assert 'account_attributes.csv, row 2' in message
  assert 'nobody' in message


def test_the_real_bundle(real_data):
  data = bundle.read_bundle(real_data)
  assert len(data.accounts) == 3361
  assert len(data.positives_Px2) == 3385
  assert data.feature_sizes == {'content_text': 19, 'attribute_embedding': 128}
  assert len(data.attributes.edges_Ex2) == 29_050
