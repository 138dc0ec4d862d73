"""The report: its figures are those of the evaluation, its page is offline."""

from html import parser
import re

import pytest

from morning_jax.core import errors
from morning_jax.evaluation import evaluate
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.report import contents as contents_lib
from morning_jax.report import measures
from morning_jax.report import page
from morning_jax.report import svg
from tests import runs
from tests.recommend import models

HOSTILE = '<script>alert(1)</script>'


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  bundle = runs.write_bundle(tmp_path_factory.mktemp('data') / 'small')
  folder = tmp_path_factory.mktemp('runs') / 'trained'
  runs.run(runs.config(bundle, train__epochs=2), folder)
  return folder


@pytest.fixture(scope='module')
def catalogue(workdir):
  return catalogue_lib.open_catalogue(workdir)


@pytest.fixture(scope='module')
def contents(workdir, catalogue):
  return contents_lib.gather(workdir, catalogue, brands=['drink_02'])


def test_figures_are_those_of_the_evaluation(workdir, contents):
  (split, metrics), *_ = evaluate.evaluate(workdir).items()
  q = contents.quality
  assert (q.split, q.num_brands) == (split, metrics['num_brands'])
  assert q.num_candidates == metrics['num_candidates']
  for name, m in q.metrics.items():
    assert m.value == pytest.approx(metrics[name], abs=1e-6), name
  for category, (count, values) in q.categories.items():
    expected = metrics['per_category'][category]
    assert count == expected['num_brands']
    assert values['map'].value == pytest.approx(expected['map'], abs=1e-6)


def test_intervals_hold_the_value_and_need_brands(catalogue, monkeypatch):
  monkeypatch.setattr(measures, '_FEW', 2)
  m = measures.measure(catalogue, resamples=200).metrics['map']
  assert m.low < m.value < m.high
  monkeypatch.setattr(measures, '_FEW', 1000)
  assert measures.measure(catalogue).metrics['map'].low is None


def test_worst_cases_are_as_many_as_best_ones(contents):
  why = [case.why for case in contents.cases]
  assert why[0] == 'asked for'
  assert sum(w.startswith('best') for w in why) == sum(
    w.startswith('worst') for w in why
  )
  precision = dict(
    zip(
      contents.quality.brands, contents.quality.average_precision, strict=True
    )
  )
  best, worst = (
    [precision[c.brand] for c in contents.cases if c.why.startswith(w)]
    for w in ('best', 'worst')
  )
  assert min(best) == sorted(precision.values())[-len(best)]
  assert max(worst) == sorted(precision.values())[len(worst) - 1]


def test_who_is_left_out_is_not_on_the_page(workdir, catalogue, contents):
  case = contents.cases[0]
  gone = {a.found.account_id for a in case.top[:1]}
  gone |= {p.account_id for p in case.partners[:1]}
  again = contents_lib.gather(
    workdir, catalogue, brands=['drink_02'], best=0, exclude=frozenset(gone)
  )
  text = page.render(again)[page.PAGE].split('<h2>Cases')[1]
  for name in gone:
    assert not re.search(rf'\b{name} at |\. {name}<', text)


class _Tags(parser.HTMLParser):
  def __init__(self):
    super().__init__()
    self.found = []

  def handle_starttag(self, tag, attrs):
    self.found.append((tag, dict(attrs)))


def test_the_page_is_small_offline_and_without_script(contents):
  text = page.render(contents)[page.PAGE]
  assert len(text.encode()) < 1_000_000
  tags = _Tags()
  tags.feed(text)
  names = {tag for tag, _ in tags.found}
  assert 'svg' in names and not names & {'script', 'link', 'img', 'iframe'}
  for _, attributes in tags.found:
    assert not {'href', 'src', 'style'} & set(attributes)
    assert not any(name.startswith('on') for name in attributes)
  assert not re.search(r'https?:|//|url\(|@import', text)
  assert 'nan' not in re.sub(r'<[^>]*title[^>]*>', '', text).split()


def test_names_of_strangers_are_text(workdir):
  dataset = runs.small_world()
  ids = dataset.accounts.ids.astype('U64')
  ids[ids == 'drink_02'] = HOSTILE
  hostile = models.catalogue('default', models.change(dataset, ids=ids))
  found = contents_lib.gather(workdir, hostile, brands=[HOSTILE], best=0)
  text = page.render(found)[page.PAGE]
  assert HOSTILE not in text and '&lt;script&gt;alert(1)' in text


def test_the_cards_are_filled_in(contents):
  found = page.render(contents)
  card = found['model_card.md']
  assert card.startswith('---\nlibrary_name: morning_jax\n')
  value = contents.quality.metrics['map'].value
  assert f'| MAP | {value:.4f} | ' in card
  assert f'            value: {value:.4f}\n' in card
  assert contents.fingerprint in found['data_card.md']
  for text in found.values():
    assert 'None' not in text and '{{' not in text


def test_unknown_brands_and_folders_that_are_there(
  contents, catalogue, tmp_path
):
  with pytest.raises(errors.UserError, match='drink_0'):
    measures.chosen_brands(catalogue, contents.quality, ['drink_2'], best=1)
  (tmp_path / 'mine').write_text('')
  with pytest.raises(errors.UserError, match='exists already'):
    page.check_new(tmp_path)
  page.write(contents, tmp_path / 'new')
  assert len(list((tmp_path / 'new').iterdir())) == 3


def test_scales_have_round_ticks_and_no_length_of_zero():
  assert svg.Scale(0, 1, 0, 100)(0.25) == 25.0
  assert svg.Scale(0, 1, 0, 100).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
  assert svg.spanning([3, 3], 0, 10)(3) == 5.0
  assert svg.around(4, 10) == [(0, -10), (10, 0), (0, 10), (-10, 0)]
