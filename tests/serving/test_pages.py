"""Pages say what is true, without a script."""

import dataclasses
import html
import re

import pytest

from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import recommend
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import settings as settings_lib
from tests import runs
from tests.recommend import models
from tests.serving import clients


def names_on(page):
  return re.findall(r'<h2><a [^>]*><bdi>([^<]*)</bdi>', page.text)


def test_a_ranking_is_the_library_s_page_by_page(ask, catalogue, brand):
  wanted = [x.account_id for x in recommend.recommend(catalogue, brand, 20)]
  for page in (1, 2):
    answer = ask.get('/ranking', params={'brand': brand, 'page': page})
    assert names_on(answer) == wanted[10 * page - 10 : 10 * page]
    assert f'<ol class="cards" start="{10 * page - 9}">' in answer.text


def test_filters_work_by_address_alone(ask, catalogue, brand):
  parameters = {
    'brand': brand,
    'followers_from': '20000',
    'followers_to': '',  # a field of the form that is left empty
    'found_under': ['shoes', 'drink'],
  }
  answer = ask.get('/ranking', params=parameters)
  wanted = recommend.recommend(
    catalogue,
    brand,
    10,
    filters_lib.Filters(followers_from=20000, found_under=('shoes', 'drink')),
  )
  assert names_on(answer) == [x.account_id for x in wanted]
  assert 'value="20000"' in answer.text
  assert answer.text.count(' checked') == 2


def test_filters_that_leave_nobody_say_so(ask, brand):
  answer = ask.get(
    '/ranking', params={'brand': brand, 'followers_from': 10**11}
  )
  assert answer.status_code == 200
  assert 'Nobody is left' in answer.text and names_on(answer) == []
  answer = ask.get('/ranking', params={'brand': brand, 'page': 'x'})
  assert answer.status_code == 422 and 'page' in answer.text


def test_likes_rank_again_and_can_be_undone(ask, catalogue, brand):
  before = names_on(ask.get('/ranking', params={'brand': brand}))
  liked, disliked = before[4], before[0]
  answer = ask.get(
    '/ranking', params={'brand': brand, 'like': liked, 'dislike': disliked}
  )
  after = names_on(answer)
  assert disliked not in after and after.index(liked) < 4
  assert 'No longer here' in answer.text
  text = html.unescape(answer.text)
  moves = re.findall(r'class="moved[^>]*>(?:(up|down) (\d+)|same)', text)
  assert len(moves) == len(after)
  everybody = [x.account_id for x in recommend.recommend(catalogue, brand, 200)]
  for rank, (name, (way, steps)) in enumerate(
    zip(after, moves, strict=True), 1
  ):
    moved = everybody.index(name) + 1 - rank
    assert moved == (int(steps or 0) * (-1 if way == 'down' else 1))
  undo = [a for a in re.findall(r'href="(/ranking[^"]*)">Undo', text)]
  assert names_on(ask.get(undo[-1])) == before
  assert names_on(ask.get(undo[0])) != after  # only the like is undone


def test_the_page_of_an_influencer(ask, catalogue, brand):
  answer = ask.get(
    '/influencer', params={'influencer': 'creator_0007', 'brand': brand}
  )
  text = html.unescape(answer.text)
  row = int(catalogue.influencers.account_row_N[6])
  assert catalogue.dataset.accounts.biographies[row] in text
  for heading in ('Writes about', 'Others like this one', 'Brands that would'):
    assert heading in text
  alone = ask.get('/influencer', params={'influencer': 'creator_0007'})
  assert alone.status_code == 200 and 'For <bdi>' not in alone.text


def test_a_shortlist_is_chosen_within_a_budget(ask, brand):
  names = ['creator_0003', 'creator_0004', 'creator_0005']
  parameters = {
    'brand': brand,
    'influencer': names,
    'cost': ['100', '2,000', '50'],
    'count': 2,
    'budget': 160,
  }
  answer = ask.get('/shortlist', params=parameters)
  text = answer.text
  assert 'Price in all: 150' in text
  assert text.count('<strong>No. ') == 2 and '<td>no</td>' in text
  answer = ask.get('/shortlist', params={**parameters, 'cost': ['100', '', '']})
  assert 'a price for everybody' in answer.text
  answer = ask.get('/shortlist', params={**parameters, 'cost': ['-1', '', '']})
  assert answer.status_code == 422
  answer = ask.get('/shortlist', params={'brand': brand})
  assert 'Your shortlist is empty' in answer.text


def test_brands_that_chose_the_model_are_called_no_others(engine, metrics):
  def about(split):
    found = {split: metrics['test']}
    ask = clients.client(engine, settings_lib.Settings(), found)
    return html.unescape(ask.get('/about').text)

  assert 'other brands that it had not learned from' in about('test')
  assert 'which favours them a little' not in about('test')
  assert 'other brands' not in about('valid')
  assert 'which favours them a little' in about('valid')


def test_the_model_card_is_a_file_that_names_nobody(ask, catalogue):
  answer = ask.get('/model-card')
  assert answer.headers['content-type'].startswith('text/markdown')
  assert 'filename="model_card.md"' in answer.headers['content-disposition']
  assert answer.text.startswith('---\nlicense: ')
  assert catalogue.bundle_fingerprint[:16] in answer.text
  assert '## Intended use and limits' in answer.text
  assert 'secret' not in answer.text  # the bundle's folder
  for name in catalogue.influencers.ids_N[:50].tolist():
    assert name not in answer.text


def test_a_model_of_which_nothing_was_held_out_has_no_card(catalogue):
  splits = catalogue.dataset.accounts.splits.copy()
  splits[splits != ''] = 'train'
  dataset = models.change(catalogue.dataset, splits=splits)
  engine = engine_lib.Engine(dataclasses.replace(catalogue, dataset=dataset))
  ask = clients.client(engine, settings_lib.Settings())
  assert '/model-card' not in ask.get('/about').text
  answer = ask.get('/model-card')
  assert answer.status_code == 404 and 'no brand was held out' in answer.text
  assert 'secret' not in answer.text


def test_a_new_brand_s_posts_have_a_place(ask):
  text = html.unescape(ask.get('/new-brand').text)
  assert 'From captions and pictures' in text
  assert "pip install 'morning_jax[prepare]'" in text


def test_a_new_brand_is_ranked_by_what_is_ticked(ask, catalogue):
  answer = ask.get('/new-brand', params={'topic': [1, 4]})
  assert 'Who would suit' in answer.text
  assert 'Nothing was said of who follows it' in answer.text
  other = ask.get('/new-brand', params={'topic': [2], 'audience_topic': [2]})
  first, second = (
    re.findall(r'<h3><a [^>]*><bdi>([^<]*)', page.text)
    for page in (answer, other)
  )
  assert len(first) == len(second) == 10 and first != second
  assert ask.get('/new-brand', params={'topic': 10**6}).status_code == 422
  size = catalogue.trained.spec.feature_sizes['content_text']
  weights = [0.0] * size
  weights[1] = weights[4] = 0.5
  pasted = ask.post('/new-brand', json={'content_text': weights})
  assert re.findall(r'<h3><a [^>]*><bdi>([^<]*)', pasted.text) == first
  assert '<html' not in pasted.text
  clients.failure(
    ask.post('/new-brand', json={'content_text': [1]}), 422, 'invalid_input'
  )


def test_other_pages(ask, metrics):
  about = ask.get('/about').text
  assert f'{metrics["test"]["recall@10"]:.0%}' in about
  assert f'Put to the test on {metrics["test"]["num_brands"]} brands' in about
  for address in ('#limits', '/model-card', '/privacy'):
    assert f'href="{address}"' in about
  assert 'id="limits"' in about
  privacy = ask.get('/privacy').text
  assert 'a@b.example' in privacy
  reference = ask.get('/api').text
  assert '/api/v1/shortlists:select' in reference
  assert 'http://' not in re.sub(r'http://127\.0\.0\.1', '', reference)
  assert ask.get('/nothing').status_code == 404
  assert ask.get('/', params={'search': 'zzz'}).text.count('No brand has') == 1


HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)> "\'& {{7*7}}'


@pytest.fixture(scope='module')
def hostile():
  """A world whose names and biographies attack."""
  from morning_jax.serving import engine as engine_lib

  dataset = runs.small_world()
  accounts = dataset.accounts
  ids = accounts.ids.astype(object)
  ids[0] = HOSTILE  # a brand
  ids[accounts.rows_of(1)[0]] = '=cmd|' + HOSTILE
  biographies = accounts.biographies.astype(object)
  biographies[:] = HOSTILE
  changed = models.change(
    dataset, ids=ids.astype(str), biographies=biographies.astype(str)
  )
  return engine_lib.Engine(models.catalogue('lookup', changed))


def test_hostile_names_are_text_on_every_page(hostile):
  ask = clients.client(hostile, settings_lib.Settings())
  who = str(hostile.catalogue.influencers.ids_N[0])
  questions = [
    ('/', {}),
    ('/', {'search': HOSTILE}),
    ('/ranking', {'brand': HOSTILE, 'like': who, 'page': 1}),
    ('/ranking', {'brand': HOSTILE + 'x'}),
    ('/influencer', {'influencer': who, 'brand': HOSTILE}),
    ('/shortlist', {'brand': HOSTILE, 'influencer': [who, 'creator_0002']}),
    ('/new-brand', {'attribute': HOSTILE}),
  ]
  for path, parameters in questions:
    answer = ask.get(path, params=parameters)
    assert answer.status_code in (200, 404), (path, answer.text[-500:])
    assert '<script>' not in answer.text and '<img' not in answer.text, path
    assert '&lt;script&gt;' in answer.text, path
    if 'attribute' not in parameters:  # whose message quotes a part
      assert '{{7*7}}' in html.unescape(answer.text), path
  answer = ask.get(
    '/api/v1/export', params={'brand': HOSTILE, 'influencer': who}
  )
  assert "'=cmd|" in answer.text
