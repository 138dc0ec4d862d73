"""The batch job: what it finds, how it is resumed, what it writes."""

import csv
import io
import json
import re

import jax
import numpy as np
import openpyxl
import pytest

from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import sharding
from morning_jax.recommend import advice
from morning_jax.recommend import batch
from morning_jax.recommend import batch_parts
from morning_jax.recommend import batch_search
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import recommend
from tests.recommend import models

K = 5
SEARCHES = {'one device': 1, 'eight devices': 8}


@pytest.fixture(scope='module')
def catalogue(catalogues):
  return catalogues('default')


def mesh_of(count):
  return sharding.make_mesh(devices=jax.devices()[:count])


def read(path):
  text = path.read_bytes().decode('utf-8-sig')
  return list(csv.DictReader(io.StringIO(text, newline='')))


FILTERS = {
  'none': filters_lib.NONE,
  'partners too': filters_lib.Filters(include_cooperating=True),
  'few': filters_lib.Filters(
    followers_from=20_000, exclude=frozenset({'creator_0003'})
  ),
}


@pytest.mark.parametrize('name', FILTERS)
@pytest.mark.parametrize('devices', SEARCHES)
def test_every_brand_gets_what_it_gets_alone(
  catalogue, tmp_path, devices, name
):
  path = tmp_path / 'all.csv'
  outcome = batch.run(
    catalogue,
    path,
    top_k=K,
    filters=FILTERS[name],
    mesh=mesh_of(SEARCHES[devices]),
    block_brands=20,
  )
  assert outcome.brands == len(catalogue.brands) == 48
  rows = read(path)
  assert len(rows) == outcome.rows == 48 * K
  adviser = advice.Adviser(catalogue)
  for number, brand in enumerate(catalogue.brands.ids_N.tolist()):
    alone = recommend.recommend(catalogue, brand, K, FILTERS[name])
    told = adviser.explain(catalogue.brand(brand), alone, reasons_for=0)
    for row, a in zip(rows[number * K :][:K], told, strict=True):
      assert row['brand'] == brand
      assert row['influencer'] == a.found.account_id
      assert int(row['rank']) == a.found.rank
      assert int(row['place']) == a.found.place
      assert row['how sure'] == a.band.words
      assert float(row['score']) == pytest.approx(a.found.score, abs=1e-4)
      assert row['works with the brand'] == (
        'yes' if a.found.cooperates else 'no'
      )
      for part in a.found.parts:
        value = float(row[f'{part.perspective} {part.modality}'])
        assert value == pytest.approx(part.value, abs=1e-4)
      assert row['bundle fingerprint'] == catalogue.bundle_fingerprint
      assert row['model step'] == '7'


def test_who_has_fewer_left_than_asked_for_gets_fewer(catalogue, tmp_path):
  row = next(iter(catalogue.partners))
  partner = catalogue.partners[row][0]
  names = catalogue.influencers.ids_N[[partner]].tolist()
  others = catalogue.influencers.ids_N[catalogue.partners[row][1:2]].tolist()
  only = filters_lib.Filters(candidates=tuple(names + others))
  outcome = batch.run(catalogue, tmp_path / 'all.csv', top_k=K, filters=only)
  brand = str(catalogue.brands.ids_N[row])
  assert brand not in {r['brand'] for r in read(tmp_path / 'all.csv')}
  assert outcome.without >= 1 and outcome.brands == 48


class Killed(BaseException):
  """What nothing catches."""


@pytest.mark.parametrize('kind', batch.FORMATS)
def test_a_job_that_was_killed_goes_on_to_the_same_bytes(
  catalogue, tmp_path, monkeypatch, kind
):
  write, searched = batch_parts.Parts.write, []
  search = batch_search.Search.__call__

  def kill_at_the_third(self, block, lines):
    if block == 2:
      raise Killed
    write(self, block, lines)

  def note(self, rows, k, *, block):
    searched.append(rows[0])
    return search(self, rows, k, block=block)

  monkeypatch.setattr(batch_search.Search, '__call__', note)
  path = tmp_path / f'all.{kind}'

  def run():
    return batch.run(catalogue, path, top_k=K, kind=kind, block_brands=15)

  with monkeypatch.context() as m:
    m.setattr(batch_parts.Parts, 'write', kill_at_the_third)
    with pytest.raises(Killed):
      run()
  assert not path.exists()
  folder = tmp_path / f'all.{kind}.parts'
  note_ = json.loads((folder / 'job.json').read_text())
  # The date is the first start's, whenever the job ends.
  note_['date'] = '2026-01-02T03:04:05+00:00'
  files.write_json(folder / 'job.json', note_)
  (folder / '000001.json').write_text('[1, "torn')  # is made again
  outcome = run()
  assert searched == [0, 15, 30, 15, 30, 45]
  assert outcome.resumed == 15
  assert not folder.exists()
  resumed = path.read_bytes()
  # The same, not disturbed: a note alone tells the date.
  folder.mkdir()
  files.write_json(folder / 'job.json', note_)
  assert run().resumed == 0
  assert path.read_bytes() == resumed
  if kind == 'csv':
    assert b'2026-01-02T03:04:05+00:00' in resumed


def test_another_question_does_not_take_over_what_is_there(catalogue, tmp_path):
  path = tmp_path / 'all.csv'
  folder = tmp_path / 'all.csv.parts'

  def stopped(**options):
    asked = batch._identity(
      catalogue, **{'top_k': K, 'filters': filters_lib.NONE} | options,
      block_brands=batch.BLOCK_BRANDS,
    )  # fmt: skip
    batch_parts.Parts(path, asked, 'then')

  stopped()
  for options, differs in (
    ({'top_k': 4}, 'top_k'),
    ({'filters': filters_lib.Filters(followers_to=10**6)}, 'filters'),
    ({'block_brands': 7}, 'block_brands'),
  ):
    with pytest.raises(errors.UserError, match=f'another {differs};'):
      batch.run(catalogue, path, **{'top_k': K} | options)
  other = models.catalogue('text alone')
  with pytest.raises(errors.UserError, match='another model;'):
    batch.run(other, path, top_k=K)
  assert [p.name for p in folder.iterdir()] == ['job.json']
  (folder / 'job.json').write_text('{')
  with pytest.raises(errors.UserError, match='is damaged'):
    batch.run(catalogue, path, top_k=K)
  (folder / 'job.json').unlink()
  (folder / 'mine.txt').write_text('')
  with pytest.raises(errors.UserError, match='something else'):
    batch.run(catalogue, path, top_k=K)
  assert not path.exists()


def test_kinds_of_files_hold_the_same(catalogue, tmp_path):
  for kind in batch.FORMATS:
    batch.run(catalogue, tmp_path / f'all.{kind}', top_k=2, kind=kind)
  rows = read(tmp_path / 'all.csv')
  whole = json.loads((tmp_path / 'all.json').read_text())
  book = openpyxl.load_workbook(tmp_path / 'all.xlsx')
  header, *cells = book['recommendations'].iter_rows(values_only=True)
  assert list(header) == list(rows[0])
  about = dict(book['about'].iter_rows(values_only=True))
  assert about['bundle fingerprint'] == whole['bundle fingerprint']
  for row, entry, line in zip(
    rows, whole['recommendations'], cells, strict=True
  ):
    assert set(row) - set(entry) == set(whole) - {'recommendations'}
    assert row['influencer'] == entry['influencer'] == line[4]
    assert float(row['score']) == entry['score'] == line[7]


def test_names_are_no_formulas(tmp_path):
  dataset = models.runs.small_world()
  ids = dataset.accounts.ids.astype('U64')
  ids[dataset.accounts.rows_of(1)[::2]] = np.array(
    [f'=cmd|{i}' for i in range(240)]
  )
  hostile = models.catalogue('default', models.change(dataset, ids=ids))
  batch.run(hostile, tmp_path / 'all.csv', top_k=K)
  found = [r['influencer'] for r in read(tmp_path / 'all.csv')]
  assert any(name.startswith("'=cmd") for name in found)
  assert not any(name.startswith('=') for name in found)
  batch.run(hostile, tmp_path / 'all.xlsx', top_k=K, kind='xlsx')
  sheet = openpyxl.load_workbook(tmp_path / 'all.xlsx')['recommendations']
  kinds = {c.data_type for c in list(sheet.columns)[4]}
  assert kinds == {'s'}


def test_mistakes_are_found_before_the_work(catalogue, tmp_path):
  for options, message in (
    ({'top_k': 481}, 'there are 480 influencers'),
    ({'top_k': 0}, 'ask for one'),
    (
      {'top_k': 3, 'filters': filters_lib.Filters(followers_from=10**9)},
      'leave nobody',
    ),
  ):
    with pytest.raises(errors.UserError, match=re.escape(message)):
      batch.run(catalogue, tmp_path / 'all.csv', **options)
  with pytest.raises(errors.UserError, match='more than the 1,048,575'):
    batch.spreadsheet.check_rows(1_048_576)
  assert not list(tmp_path.iterdir())
