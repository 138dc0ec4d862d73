"""The comparison: what methods see, what is written, and what it says."""

import csv
import dataclasses
import io
import json
import pathlib

import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.comparison import compare
from morning_jax.comparison import curves
from morning_jax.comparison import folds as folds_lib
from morning_jax.comparison import tables
from morning_jax.comparison import workers
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import lambdamart
from morning_jax.comparison.methods import table as table_lib
from morning_jax.comparison.methods import untrained
from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data import splits
from morning_jax.evaluation import metrics
from morning_jax.training import train
from tests import runs

PLACE = folds_lib.Place(seed=3, fold=1, folds=3)


def _recipes(epochs=2, encoder='embedding'):
  """The recipes, short and narrow."""
  recipes = {v: config_lib.get_config(v) for v in ('', 'paper', 'release')}
  for config in recipes.values():
    config.train.epochs = epochs
    config.model.attribute.encoder = encoder
    config.model.modalities = ('text',)  # compiles faster
    config.model.image_widths = (16, 8)
    config.model.text_widths = (8, 8)
    config.model.attribute_widths = (16, 8)
  recipes[''].train.batch_size = 64
  return recipes


@pytest.fixture(scope='module')
def world():
  return runs.small_world()


def _with_other_held_out_pairs(dataset, place):
  """Gives each held-out brand the influencers of another one.

  And each influencer the category under which another was found.
  """
  split = folds_lib.held_out(dataset, place)
  rows = split.brand_row_B
  brand, influencer = dataset.positives_Px2.T.copy()
  new = dict(zip(rows.tolist(), np.roll(rows, 1).tolist(), strict=True))
  brand = np.array([new.get(b, b) for b in brand.tolist()])
  found = dataset.accounts.found_under.copy()
  influencers = np.flatnonzero(found != '')
  found[influencers] = np.roll(found[influencers], 7)
  return dataclasses.replace(
    dataset,
    accounts=dataclasses.replace(dataset.accounts, found_under=found),
    positives_Px2=np.stack([brand, influencer], axis=1),
  )


def test_folds_share_no_brand_and_cover_all(world):
  brands = splits.select(world, 'train').brand_row_B
  deals = []
  for seed in range(2):
    held_out = [
      folds_lib.held_out(world, folds_lib.Place(seed, fold, 4)).brand_row_B
      for fold in range(4)
    ]
    deals.append([set(rows.tolist()) for rows in held_out])
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), brands)
    for fold in range(4):
      train_rows = folds_lib.make_task(
        world, folds_lib.Place(seed, fold, 4)
      ).train.brand_row_B
      assert not set(train_rows.tolist()) & deals[-1][fold]
  assert deals[0] != deals[1]


def test_a_task_holds_nothing_of_the_held_out_pairs(world):
  # A stored graph may know every pair.
  attributes = dataclasses.replace(
    world.attributes,
    edges_Ex2=np.array([[0, 1]]),
    weight_E=np.ones(1, np.float32),
  )
  world = dataclasses.replace(world, attributes=attributes)
  task = folds_lib.make_task(world, PLACE)
  held_out = folds_lib.held_out(world, PLACE)
  assert len(held_out.brand_P) and not len(task.test.brand_P)
  np.testing.assert_array_equal(task.test.brand_row_B, held_out.brand_row_B)
  assert set(task.dataset.positives_Px2[:, 0]) == set(task.train.brand_row_B)
  assert task.dataset.planted is None and world.planted is not None
  assert task.dataset.attributes.edges_Ex2 is None
  assert task.dataset.accounts.found_under is None
  assert world.accounts.found_under is not None
  # Everything in it, bit by bit, is the same for other held-out pairs.
  other = folds_lib.make_task(_with_other_held_out_pairs(world, PLACE), PLACE)
  assert dataset_lib.fingerprint(other.dataset) == dataset_lib.fingerprint(
    task.dataset
  )


def test_a_share_of_the_brands_is_nested(world):
  sizes, before = [], set()
  for share in (0.2, 0.5, 1.0):
    place = dataclasses.replace(PLACE, share=share)
    rows = set(folds_lib.make_task(world, place).train.brand_row_B.tolist())
    assert before <= rows
    sizes.append(len(rows))
    before = rows
    np.testing.assert_array_equal(
      folds_lib.held_out(world, place).brand_row_B,
      folds_lib.held_out(world, PLACE).brand_row_B,
    )
  total = len(splits.select(world, 'train').brand_row_B)
  everyone = total - len(folds_lib.held_out(world, PLACE).brand_row_B)
  assert sizes == [round(0.2 * everyone), round(0.5 * everyone), everyone]


SEEN = ('random', 'popularity', 'similarity', 'morning', 'morning-paper')


@pytest.mark.parametrize(
  ('key', 'encoder'),
  [
    *((k, 'embedding') for k in SEEN),
    ('lambdamart', 'embedding'),
    ('morning', 'gcn'),
    *(
      pytest.param(k, 'embedding', marks=pytest.mark.slow)
      for k in table_lib.table(_recipes())
      if k not in (*SEEN, 'lambdamart')
    ),
  ],
)
def test_no_method_sees_a_held_out_pair(world, key, encoder):
  if key == 'lambdamart':
    pytest.importorskip('lightgbm')
  method = table_lib.table(_recipes(encoder=encoder))[key]
  if method.absent(world):
    pytest.skip(method.absent(world))
  other = _with_other_held_out_pairs(world, PLACE)
  scores = method.score(folds_lib.make_task(world, PLACE))[0]
  again = method.score(folds_lib.make_task(other, PLACE))[0]
  assert np.asarray(scores).tobytes() == np.asarray(again).tobytes()
  own = metrics.summarize(folds_lib.judge(world, PLACE, scores))
  theirs = metrics.summarize(folds_lib.judge(other, PLACE, scores))
  assert own != theirs  # the judge, and only the judge, sees them


@pytest.mark.parametrize(
  ('variant', 'encoder'),
  [
    ('', 'embedding'),
    pytest.param('paper', 'embedding', marks=pytest.mark.slow),
    pytest.param('release', 'embedding', marks=pytest.mark.slow),
    pytest.param('', 'gcn', marks=pytest.mark.slow),
  ],
)
def test_rows_of_morning_equal_training(world, tmp_path, variant, encoder):
  config = _recipes(encoder=encoder)[variant]
  place = folds_lib.Place(seed=2, fold=1, folds=3)
  task = folds_lib.make_task(world, place)
  recipes = {'': config, 'paper': config, 'release': config}
  scores = table_lib.table(recipes)['morning'].score(task)[0]
  harness = metrics.summarize(folds_lib.judge(world, place, scores))
  config.seed, config.mesh.data = 2, 1
  config.data.folds, config.data.fold = 3, 1
  config.data.valid_share = 0.0
  trained = train.train(config, tmp_path, dataset=world).metrics['test']
  for metric in metrics.METRICS:
    assert harness[metric] == pytest.approx(trained[metric], abs=1e-5), metric


def test_scores_after_epochs_end_in_those_of_the_whole_run(world):
  method = table_lib.table(_recipes())['morning']
  task = folds_lib.make_task(world, PLACE)
  first, _, last = method.score(task, epochs=(0, 1, 2))
  np.testing.assert_allclose(last, method.score(task)[0], atol=1e-6)
  assert np.abs(first - last).max() > 1e-4


def test_ablations_leave_the_other_recipes_alone(world):
  rows = table_lib.table(_recipes())
  for key, kept in table_lib.ABLATIONS.items():
    assert tuple(rows[key].recipe.model.perspectives) == kept
  for key in ('morning', 'morning-paper'):
    assert len(rows[key].recipe.model.perspectives) == 3
  assert all(rows[k].absent(world) is None for k in table_lib.ABLATIONS)


def _without_audience(dataset):
  kept = {f: x for f, x in dataset.features.items() if 'audience' not in f}
  return dataclasses.replace(dataset, features=kept)


def test_rows_that_the_data_does_not_allow_are_left_out(world):
  rows = table_lib.table(_recipes())
  chosen, notes = table_lib.choose(rows, None, _without_audience(world))
  keys = [m.key for m in chosen]
  assert {'content-only', 'attribute-only', 'morning'} <= set(keys)
  assert not {'audience-only', 'content-audience', 'content-attribute'} & set(
    keys
  )
  text = '\n'.join(notes)
  assert 'MORNING (audience only) is left out: the data has nothing' in text
  assert 'MORNING (content + attribute) is left out: is MORNING itself' in text
  with pytest.raises(errors.UserError, match='--methods=audience-only: '):
    table_lib.choose(rows, ['audience-only'], _without_audience(world))


def test_lambdamart_is_left_out_without_its_library(world, monkeypatch):
  monkeypatch.setattr(lambdamart.importlib.util, 'find_spec', lambda _: None)
  rows = table_lib.table(_recipes())
  chosen, notes = table_lib.choose(rows, None, world)
  assert 'lambdamart' not in [m.key for m in chosen]
  assert any('[compare]' in n for n in notes)
  with pytest.raises(errors.UserError, match=r'morning_jax\[compare\]'):
    table_lib.choose(rows, ['lambdamart'], world)


def test_untrained_scores_by_hand(world):
  task = folds_lib.make_task(world, PLACE)
  popularity = untrained.popularity(task)
  similarity = untrained.similarity(task)
  brand, influencer = task.test.brand_row_B[2], task.test.candidate_row_M[5]
  pairs = task.dataset.positives_Px2.tolist()
  assert popularity[2, 5] == sum(m == influencer for _, m in pairs)
  assert popularity.max() > 0
  expected = 0.0
  for feature, x in world.features.items():
    a, b = x[brand].astype(float), x[influencer].astype(float)
    if feature.endswith('_text'):
      a, b = np.sqrt(a), np.sqrt(b)
    if np.isnan(a).any() or np.isnan(b).any():
      continue
    expected += a @ b / np.sqrt((a @ a) * (b @ b))
  assert similarity[2, 5] == pytest.approx(expected, abs=1e-5)


OPTIONS = compare.Options(
  methods=('random', 'popularity', 'similarity', 'morning'),
  folds=2,
  seeds=1,
  jobs=0,
  resamples=200,
)


@pytest.fixture(scope='module')
def compared(world, tmp_path_factory):
  folder = tmp_path_factory.mktemp('compared')
  return folder, compare.compare(world, _recipes(), OPTIONS, folder)


def _files(folder):
  return {
    p.relative_to(folder).as_posix(): p.read_bytes()
    for p in folder.rglob('*')
    if p.is_file()
  }


def test_the_same_seed_gives_the_same_files(world, compared, tmp_path, capsys):
  folder, _ = compared
  compare.compare(world, _recipes(), OPTIONS, tmp_path)
  files = _files(tmp_path)
  assert files == _files(folder)
  assert {'table.txt', 'table.csv', 'table.md', 'table.tex'} <= set(files)
  assert {'per_category.csv', 'per_category.md', 'results.json'} <= set(files)
  for name, content in files.items():
    assert str(tmp_path).encode() not in content, name
  assert files['table.txt'].decode() in capsys.readouterr().out


def test_a_killed_comparison_goes_on(world, compared, tmp_path, monkeypatch):
  folder, _ = compared
  expected = _files(folder)
  measured = []
  measure = workers.measure

  def counting(unit, *rest):
    if len(measured) == 5 and not stopped:
      raise KeyboardInterrupt
    measured.append(unit)
    return measure(unit, *rest)

  stopped = []
  monkeypatch.setattr(workers, 'measure', counting)
  with pytest.raises(KeyboardInterrupt):
    compare.compare(world, _recipes(), OPTIONS, tmp_path)
  stopped.append(True)
  damaged = next(tmp_path.rglob('seed-0-fold-1-of-2.json'))
  damaged.write_text(damaged.read_text()[:-30])
  compare.compare(world, _recipes(), OPTIONS, tmp_path)
  # Eight in all, five of them before, and one again.
  assert len(measured) == 9 and len(set(measured)) == 8
  assert _files(tmp_path) == expected


def test_results_of_another_recipe_or_data_are_not_taken(compared):
  folder, _ = compared
  unit = workers.Unit('morning', folds_lib.Place(0, 0, 2))
  stored = json.loads((folder / unit.file).read_text())
  rows = table_lib.table(_recipes())
  kept = workers.Kept(folder, 'data', 'software')
  assert kept.read(unit, rows['morning']) is None
  kept = workers.Kept(
    folder,
    dataset_lib.fingerprint(runs.small_world()),
    workers.source_fingerprint(in_workers=False),
  )
  found = kept.read(unit, rows['morning'])
  assert found[0].first_rank.tolist() == stored['statistics'][0]['first_rank']
  assert kept.read(unit, table_lib.table(_recipes(epochs=1))['morning']) is None


@pytest.mark.slow
def test_workers_give_the_same_numbers_however_many(world, tmp_path):
  for jobs in (1, 2):
    options = dataclasses.replace(OPTIONS, jobs=jobs)
    compare.compare(world, _recipes(), options, tmp_path / str(jobs))
  assert _files(tmp_path / '1') == _files(tmp_path / '2')


def test_tables_say_what_was_measured(compared):
  folder, found = compared
  morning = found['methods']['morning']
  folds = [f['metrics'] for f in morning['folds']]
  cell = morning['summary']['map']
  assert cell['mean'] == pytest.approx(np.mean([f['map'] for f in folds]))
  assert cell['low'] < cell['mean'] < cell['high']
  assert json.loads((folder / 'results.json').read_text()) == found
  half = (cell['high'] - cell['low']) / 2
  expected = f'{cell["mean"]:.3f} ±{half:.3f}'
  for name in ('table.txt', 'table.md'):
    line = next(
      x
      for x in (folder / name).read_text().splitlines()
      if x.lstrip('| ').startswith('MORNING ')
    )
    assert expected in line
  assert expected.replace('±', r'$\pm$') in (folder / 'table.tex').read_text()
  rows = list(csv.DictReader(io.StringIO((folder / 'table.csv').read_text())))
  assert len(rows) == 4 * len(metrics.METRICS)
  row = next(
    r for r in rows if (r['method'], r['metric']) == ('similarity', 'auc')
  )
  summary = found['methods']['similarity']['summary']['auc']
  assert float(row['difference']) == summary['difference']
  assert float(row['p_holm']) >= float(row['p'])
  auc = morning['summary']['auc']['mean']
  assert summary['difference'] == pytest.approx(summary['mean'] - auc)
  text = (folder / 'table.txt').read_text()
  assert 'Differences from MORNING' in text
  assert 'note: popularity: influencers that no training brand has' in text
  assert 'note: MORNING: S. Wang' in text


def test_categories_have_rows_of_their_own(world, compared):
  folder, found = compared
  rows = list(
    csv.DictReader(io.StringIO((folder / 'per_category.csv').read_text()))
  )
  brands = {r['category']: int(r['brands']) for r in rows}
  assert sum(brands.values()) == len(found['brands'])
  category = rows[0]['category']
  own = next(
    r
    for r in rows
    if (r['category'], r['method'], r['metric']) == (category, 'MORNING', 'map')
  )
  precisions = [
    value
    for fold in found['methods']['morning']['folds']
    for brand, value in zip(
      fold['brand'], fold['per_brand']['average_precision'], strict=True
    )
    if found['categories'][brand] == category
  ]
  assert len(precisions) == brands[category]
  assert float(own['mean']) == pytest.approx(np.mean(precisions))
  del world


def test_latex_and_markdown_are_escaped():
  table = tables.Table(['method', 'A_B'], [['50 % & {x}', '0.1 ±0.2*|']])
  latex = tables.to_latex(table, caption='R&D')
  assert r'50 \% \& \{x\} & 0.1 $\pm$0.2*| \\' in latex
  assert r'A\_B' in latex and r'\caption{R\&D}' in latex
  for rule in ('toprule', 'midrule', 'bottomrule'):
    assert rf'\{rule}' in latex
  assert r'0.1 ±0.2\*\|' in tables.to_markdown(table)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    (
      {'methods': ('similarty',)},
      '--methods=similarty: no such method; near: similarity',
    ),
    ({'methods': ()}, '--methods: names none'),
    (
      {'folds': 16},
      '--folds=16: .* has 31 training brands .* takes 2 to 15 folds, two',
    ),
    ({'folds': 1}, '--folds=1: '),
    ({'seeds': 0}, '--seeds=0: takes 1'),
    ({'costly_seeds': 0}, '--costly_seeds=0: takes 1'),
    ({'jobs': -1}, '--jobs=-1: '),
    ({'curves': ('epoch',)}, '--curves=epoch: there are the curves epochs'),
  ],
)
def test_mistakes_end_in_one_line(world, tmp_path, changes, message):
  options = dataclasses.replace(OPTIONS, **changes)
  with pytest.raises(errors.UserError, match=message) as raised:
    compare.compare(world, _recipes(), options, tmp_path / 'new')
  assert '\n' not in str(raised.value)
  assert not (tmp_path / 'new').exists()


def test_a_method_that_fails_on_the_data_is_left_out(
  world, tmp_path, monkeypatch
):
  def score(task):
    raise errors.UserError('the data has no followers')

  known = table_lib.table(_recipes())
  picky = table_lib.Method(
    'picky', interface.Peer('Picky', 'nobody', lambda _: [], score)
  )
  few = {k: known[k] for k in ('random', 'similarity')} | {'picky': picky}
  monkeypatch.setattr(table_lib, 'table', lambda recipes: few)
  options = dataclasses.replace(OPTIONS, methods=None)
  found = compare.compare(world, _recipes(), options, tmp_path / 'a')
  assert list(found['methods']) == ['random', 'similarity']
  assert 'Picky is left out: the data has no followers' in found['notes']
  options = dataclasses.replace(OPTIONS, methods=('picky',))
  with pytest.raises(
    errors.UserError, match='--methods=picky: the data has no'
  ):
    compare.compare(world, _recipes(), options, tmp_path / 'b')


def test_costly_methods_are_repeated_less(world, tmp_path, monkeypatch):
  known = table_lib.table(_recipes())
  few = {k: known[k] for k in ('random', 'similarity')}
  few['similarity'] = dataclasses.replace(few['similarity'], costly=True)
  monkeypatch.setattr(table_lib, 'table', lambda recipes: few)
  options = dataclasses.replace(OPTIONS, methods=None, seeds=2)
  found = compare.compare(world, _recipes(), options, tmp_path)
  counts = {k: len(m['folds']) for k, m in found['methods'].items()}
  assert counts == {'random': 4, 'similarity': 2}
  assert any('similarity: 1 of 2 deals' in n for n in found['notes'])
  assert [m.key for m in known.values() if m.costly] == [
    'morning-paper',
    'morning-release',
  ]


def test_curves_are_drawn(world, tmp_path, monkeypatch):
  pytest.importorskip('matplotlib')
  monkeypatch.setattr(curves, 'SHARES', (0.6, 1.0))
  options = dataclasses.replace(
    OPTIONS, methods=('similarity', 'morning'), curves=curves.KINDS
  )
  compare.compare(world, _recipes(), options, tmp_path)
  for kind in curves.KINDS:
    content = (tmp_path / f'{kind}.png').read_bytes()
    assert content.startswith(b'\x89PNG') and len(content) < 100_000
  rows = list(
    csv.DictReader(io.StringIO((tmp_path / 'brands.csv').read_text()))
  )
  maps = {
    float(r['brands']): float(r['mean'])
    for r in rows
    if (r['method'], r['metric']) == ('MORNING', 'map')
  }
  assert len(maps) == 2
  found = json.loads((tmp_path / 'results.json').read_text())
  # With all brands it is the row of the table.
  summary = found['methods']['morning']['summary']['map']
  assert maps[max(maps)] == pytest.approx(summary['mean'])
  epochs = (tmp_path / 'epochs.csv').read_text()
  assert [
    x.split(',')[0] for x in epochs.splitlines() if 'MORNING,map' in x
  ] == [
    '0.0',
    '1.0',
    '2.0',
  ]


def test_the_command_ends_in_one_line(tmp_path):
  folder = runs.write_bundle(tmp_path / 'bundle')
  done = runs.launch(
    f'--bundle={folder}',
    '--methods=morningg',
    f'--workdir={tmp_path / "out"}',
    module='compare',
  )
  assert done.returncode == 2
  assert (
    done.stderr.strip()
    .splitlines()[-1]
    .startswith('error: --methods=morningg: no such method; near: morning')
  )
  assert not pathlib.Path(tmp_path / 'out').exists()


FAST = dataclasses.replace(OPTIONS, methods=('random', 'similarity'))


def _first_brands(dataset, count):
  """Keeps the first training brands."""
  keep = splits.select(dataset, 'train').brand_row_B[:count]
  known = np.isin(dataset.positives_Px2[:, 0], keep)
  return dataclasses.replace(
    dataset, positives_Px2=dataset.positives_Px2[known]
  )


def test_folds_of_one_brand_mean_nothing(world):
  few = _first_brands(world, 5)
  folds_lib.check_folds(few, 2)
  with pytest.raises(errors.UserError, match='takes 2 to 2 folds'):
    folds_lib.check_folds(few, 3)
  with pytest.raises(errors.UserError, match='takes four at least'):
    folds_lib.check_folds(_first_brands(world, 3), 2)


def test_shares_that_leave_too_few_brands_are_skipped(world, tmp_path):
  pytest.importorskip('matplotlib')
  few = _first_brands(world, 8)
  options = dataclasses.replace(FAST, curves=('brands',))
  found = compare.compare(few, _recipes(), options, tmp_path)
  rows = csv.DictReader(io.StringIO((tmp_path / 'brands.csv').read_text()))
  assert sorted({float(r['brands']) for r in rows}) == [2, 3, 4]
  for share in (10, 25):
    assert any(f'the share of {share} % of the' in n for n in found['notes'])
  # Eight brands are too few for an interval; the figures are still there.
  cells = found['methods']['similarity']['summary']
  assert cells['map']['mean'] is not None and cells['map']['low'] is None
  assert f'{cells["map"]["mean"]:.3f} ±-' in (tmp_path / 'table.md').read_text()


def test_a_failure_in_a_curve_costs_a_point_alone(world, tmp_path, monkeypatch):
  pytest.importorskip('matplotlib')
  measure = workers.measure

  def failing(unit, *rest):
    if unit.place.share == 0.25:
      return workers.Failure('too few to learn from')
    return measure(unit, *rest)

  monkeypatch.setattr(workers, 'measure', failing)
  options = dataclasses.replace(FAST, curves=('brands',))
  found = compare.compare(world, _recipes(), options, tmp_path)
  assert list(found['methods']) == ['random', 'similarity']
  assert any('lacks points: too few to learn' in n for n in found['notes'])
  rows = csv.DictReader(io.StringIO((tmp_path / 'brands.csv').read_text()))
  assert len({r['brands'] for r in rows}) == len(curves.SHARES) - 1


def test_a_method_that_diverges_is_left_out(world, tmp_path, monkeypatch):
  known = table_lib.table(_recipes())

  def score(task):
    shape = len(task.test.brand_row_B), len(task.test.candidate_row_M)
    return np.full(shape, np.nan, np.float32)

  wild = table_lib.Method(
    'wild', interface.Peer('Wild', 'nobody', lambda _: [], score)
  )
  few = {'random': known['random'], 'wild': wild}
  monkeypatch.setattr(table_lib, 'table', lambda recipes: few)
  options = dataclasses.replace(OPTIONS, methods=('random', 'wild'))
  found = compare.compare(world, _recipes(), options, tmp_path)
  assert list(found['methods']) == ['random']
  assert any('Wild is left out: scores are not' in n for n in found['notes'])


def test_pictures_without_anything_to_draw_are_notes(
  world, tmp_path, capsys, recwarn
):
  pytest.importorskip('matplotlib')
  plain = dataclasses.replace(
    world,
    accounts=dataclasses.replace(
      world.accounts, categories=np.full_like(world.accounts.categories, '')
    ),
  )
  options = dataclasses.replace(
    OPTIONS, methods=('random',), curves=curves.KINDS
  )
  compare.compare(plain, _recipes(), options, tmp_path / 'plain')
  compare.compare(world, _recipes(), options, tmp_path / 'world')
  assert not list(tmp_path.rglob('*.png'))
  said = capsys.readouterr().err
  assert said.count('--curves=epochs: no picture') == 2
  assert said.count('--curves=brands: no picture') == 2
  assert 'the training brands have no category' in said
  assert '--curves=categories: no picture, as none of its methods' in said
  assert not [w for w in recwarn if w.category is UserWarning]


def test_files_of_an_earlier_comparison_do_not_stay(world, tmp_path):
  for name in ('epochs.png', 'per_category.csv', 'mine.txt'):
    (tmp_path / name).write_text('old')
  compare.compare(world, _recipes(), FAST, tmp_path)
  assert not (tmp_path / 'epochs.png').exists()
  assert (tmp_path / 'per_category.csv').read_text() != 'old'
  assert (tmp_path / 'mine.txt').read_text() == 'old'


def _file_above(folder):
  (folder / 'file').write_text('')
  return folder / 'file' / 'out'


def _file_for_parts(folder):
  (folder / 'parts').write_text('')
  return folder


def _folder_for_table(folder):
  (folder / 'table.txt').mkdir()
  return folder


@pytest.mark.parametrize(
  ('prepare', 'message'),
  [
    (_file_above, 'is no folder that can be written: .*Not a directory'),
    (lambda _: '/proc/nope', '--workdir=/proc/nope: is no folder that can be'),
    (_file_for_parts, 'is no folder that can be written: .*parts'),
    (_folder_for_table, 'table.txt there is a folder'),
  ],
)
def test_a_folder_that_can_not_be_written_is_found_first(
  world, tmp_path, monkeypatch, prepare, message
):
  monkeypatch.setattr(workers, 'measure', None)  # nothing may be trained
  with pytest.raises(errors.UserError, match=message):
    compare.compare(world, _recipes(), FAST, prepare(tmp_path))


def test_results_of_other_software_are_not_taken(monkeypatch):
  digests = {workers.source_fingerprint(in_workers=w) for w in (True, False)}
  version = workers.metadata.version
  for library in ('jaxlib', 'optax', 'scipy'):
    monkeypatch.setattr(
      workers.metadata,
      'version',
      lambda name, old=library: 'old' if name == old else version(name),
    )
    digests.add(workers.source_fingerprint(in_workers=True))
  assert len(digests) == 5
