"""The report: its figures are those of the evaluation, its page is offline."""

import dataclasses
from html import parser
import re

import pytest
import yaml

from morning_jax.core import errors
from morning_jax.evaluation import evaluate
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.report import ablations
from morning_jax.report import contents as contents_lib
from morning_jax.report import measures
from morning_jax.report import page
from morning_jax.report import svg
from tests import runs
from tests.recommend import models
from tests.report import comparisons

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
  assert card.startswith('---\nlicense: "unknown"\nlibrary_name: morning_jax\n')
  value = contents.quality.metrics['map'].value
  assert f'| MAP | {value:.4f} | ' in card
  assert f'            value: {value:.4f}\n' in card
  assert contents.fingerprint in found['data_card.md']
  for text in found.values():
    assert 'None' not in text and '{{' not in text


def head_of(card):
  _, head, body = card.split('---\n', 2)
  return yaml.safe_load(head), body


HOSTILE_NAMES = (
  'a: b # c',
  '"\n---\nlicense: mit',
  '- [x](http://evil.example) | <script>alert(1)</script> `',
  '12345678901234e7',
  'null',
  "it's {{ 7 * 7 }} {% raw %}",
)


@pytest.mark.parametrize('name', HOSTILE_NAMES)
def test_no_name_breaks_a_card(contents, name):
  changed = dataclasses.replace(
    contents,
    license=name,
    fingerprint=name,
    data=(('name', name), *contents.data[1:]),
    quality=dataclasses.replace(
      contents.quality,
      categories={name: next(iter(contents.quality.categories.values()))},
    ),
  )
  found = page.render(changed)
  head, body = head_of(found['model_card.md'])
  assert head['license'] == name and head['library_name'] == 'morning_jax'
  (result,) = head['model-index'][0]['results']
  assert result['dataset']['name'] == name[:16]
  assert {m['type'] for m in result['metrics']} <= {
    m.replace('@', '_at_') for m in contents.titles
  }
  for text in (body, found['data_card.md']):
    shown = [line for line in text.splitlines() if line.startswith('- name: ')]
    assert shown == [f'- name: {page.plain(name)}']
    assert '<script>' not in text and '](http://' not in text
    assert '49' not in shown[0]
  assert f'\n| {page.plain(name)} | ' in found['data_card.md']
  assert '|' not in page.plain(name).replace('\\|', '')
  assert '\n' not in page.plain(name)


def test_a_comparison_is_shown_where_there_is_one(
  workdir, catalogue, contents, tmp_path
):
  before = page.render(contents)
  assert 'without its parts' not in ''.join(before.values())
  compared = ablations.read(
    comparisons.write(tmp_path), data_fingerprint='another'
  )
  found = page.render(dataclasses.replace(contents, comparison=compared))
  text = found[page.PAGE]
  section = text.split('without its parts</h2>')[1].split('<h2>')[0]
  assert '&lt;b&gt;content&lt;/b&gt; only' in section
  assert '-0.050 (-0.080 to +0.010)' in section
  assert 'is of other data than the rest' in section
  assert section.index('MORNING</text>') < section.index('only</text>')
  assert '| MORNING | 0.3000 | 0.3000 | 0.3000 |' in found['model_card.md']
  assert '&lt;b&gt;content&lt;/b&gt; only | 0.2500 |' in found['model_card.md']


def test_validation_brands_are_said_to_be_no_others(contents):
  quality = dataclasses.replace(contents.quality, split='valid')
  changed = page.render(dataclasses.replace(contents, quality=quality))
  for before, after in zip(
    page.render(contents).values(), changed.values(), strict=True
  ):
    if 'none of them trained on' in after or '<h2>' in after:
      assert 'chosen by these very brands' not in before
      assert 'chosen by these very brands' in after
      assert f'{quality.num_brands} validation brands' in after


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
