"""The pages: rendered here, complete without a script."""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

import fastapi
from fastapi import responses

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.report import contents as report_contents
from morning_jax.report import page as report_page
from morning_jax.serving import answers
from morning_jax.serving import bars
from morning_jax.serving import failures
from morning_jax.serving import feedback
from morning_jax.serving import held_out as held_out_lib
from morning_jax.serving import query
from morning_jax.serving import reference
from morning_jax.serving import settings as settings_lib
from morning_jax.serving import site as site_lib
from morning_jax.serving import threads
from morning_jax.serving import views
from morning_jax.serving import words

_BRANDS = 60  # on a page


def router(
  site: site_lib.Site,
  held_out: answers.Json,
  openapi: Callable[[], dict[str, Any]],
) -> fastapi.APIRouter:
  """Makes the routes of the pages but those on shortlists and new brands.

  Args:
    site: templates and the engine.
    held_out: split -> metrics.
    openapi: describes the API.
  """
  routes = fastapi.APIRouter(include_in_schema=False)
  engine = site.engine

  @routes.get('/')
  async def brands(request: fastapi.Request) -> responses.Response:
    asked = query.parse(query.Listed, request.query_params.multi_items())
    skip = (asked.page - 1) * _BRANDS
    total, rows = answers.search(
      engine, accounts_lib.BRAND, asked.search, skip=skip, most=_BRANDS
    )
    return site.page(
      'brands.html',
      search=asked.search,
      page=asked.page,
      last_page=max(1, -(-total // _BRANDS)),
      total=total,
      all=len(engine.catalogue.brands),
      influencers=len(engine.catalogue.influencers) - engine.count_excluded(),
      brands=[answers.brand(engine, row) for row in rows],
    )

  @routes.get('/ranking')
  async def ranking(request: fastapi.Request) -> responses.Response:
    asked = query.parse(query.RankingPage, request.query_params.multi_items())
    return await threads.run(lambda: _ranking(site, asked))

  @routes.get('/influencer')
  async def influencer(request: fastapi.Request) -> responses.Response:
    asked = query.parse(
      query.InfluencerPage, request.query_params.multi_items()
    )
    return await threads.run(lambda: _influencer(site, asked))

  @routes.get('/about')
  async def about() -> responses.Response:
    def make() -> responses.Response:
      splits = {
        name: held_out_lib.in_words(metrics)
        for name, metrics in held_out.items()
        if name in ('test', 'valid')
      }
      name = 'test' if 'test' in splits else 'valid'
      return site.page(
        'about.html',
        model=answers.model(engine, held_out),
        has_card=engine.has_held_out_brands,
        split=name,
        metrics=splits.get(name, []),
        tested=held_out.get(name, {}),
        bands=engine.adviser.bands.bands,
        why_none=engine.adviser.bands.why_none,
        perspectives=[
          words.PERSPECTIVES.get(p, p) for p in engine.catalogue.perspectives
        ],
      )

    return await threads.run(make)

  @functools.cache
  def card() -> bytes:
    try:
      told = report_contents.gather(None, engine.catalogue, best=0)
    except errors.UserError:
      raise failures.Failure(
        404,
        'no_card',
        'there is no model card: no brand was held out to measure the model on',
      ) from None
    return report_page.render(told)[report_page.CARDS[0]].encode()

  @routes.get('/model-card')
  async def model_card() -> responses.Response:
    return responses.Response(
      await threads.run(card),
      media_type='text/markdown; charset=utf-8',
      headers={'content-disposition': 'attachment; filename="model_card.md"'},
    )

  @routes.get('/privacy')
  async def privacy() -> responses.Response:
    accounts = engine.catalogue.dataset.accounts
    return site.page(
      'privacy.html',
      has_biographies=accounts.biographies is not None,
      has_followers=accounts.followers is not None,
      has_members=engine.catalogue.dataset.audience is not None,
      features=list(engine.catalogue.trained.spec.feature_sizes),
    )

  @routes.get('/api')
  async def api_reference() -> responses.Response:
    return site.page('api.html', operations=reference.operations(openapi()))

  @routes.get('/static/{name}')
  async def static(name: str) -> responses.Response:
    if name not in site.files:
      raise failures.Failure(404, 'not_found', 'there is no such address')
    media_type, content = site.files[name]
    return responses.Response(content, media_type=media_type)

  return routes


def _ranking(
  site: site_lib.Site, asked: query.RankingPage
) -> responses.Response:
  engine = site.engine
  brand = engine.brand(asked.brand)
  rows = site.settings.page_rows
  first = (asked.page - 1) * rows
  chosen = asked.model_dump(exclude_defaults=True)
  values: dict[str, Any] = {
    'brand': brand.account_id,
    'category': brand.category,
    'chosen': chosen,
    'export': {
      k: v for k, v in chosen.items() if k not in ('page', 'like', 'dislike')
    },
    'asked': asked,
    'choices': views.filter_choices(engine),
    'filtered': bool(chosen.keys() - {'brand', 'page', 'like', 'dislike'}),
    'cards': [],
    'passed': 0,
    'left': [],
    'nobody': '',
    'last_page': 1,
    'total': len(engine.catalogue.influencers) - engine.count_excluded(),
  }
  filters = asked.as_filters()
  try:
    wanted_M, passed = engine.wanted(brand, filters)
  except (failures.Failure, errors.UserError) as e:
    return site.page('ranking.html', **{**values, 'nobody': str(e)})
  last = min(first + rows, passed)
  scores = engine.scores(brand)
  before = scores.best(wanted_M, last)
  moved: list[feedback.Moved] = []
  if asked.like or asked.dislike:
    liked = [engine.influencer(name) for name in asked.like]
    disliked = [
      engine.influencer(n) for n in asked.dislike if n not in asked.like
    ]
    moved = feedback.rerank(
      engine.catalogue,
      scores.score_N,
      wanted_M,
      liked=liked,
      disliked=disliked,
      top_k=last,
    )
    now = [m.row for m in moved]
    ids = engine.catalogue.influencers.ids_N
    values['left'] = [str(ids[r]) for r in before if r not in now]
  else:
    now = before
  found = engine.found(brand, now[first:last])
  cards = views.cards(engine.explain(brand, found), first=first + 1)
  if moved:
    cards = views.moved_cards(cards, moved[first:last])
  return site.page(
    'ranking.html',
    **{
      **values,
      'cards': cards,
      'passed': passed,
      'last_page': min(-(-passed // rows), settings_lib.MOST_K // rows),
    },
  )


def _influencer(
  site: site_lib.Site, asked: query.InfluencerPage
) -> responses.Response:
  engine = site.engine
  account = engine.influencer(asked.influencer)
  assert account.row is not None
  catalogue = engine.catalogue
  perspective = asked.perspective
  if perspective is not None and perspective not in catalogue.perspectives:
    raise failures.Failure(
      422, 'invalid_input', 'perspective: the model has none of that name'
    )
  card, parts = None, []
  if asked.brand:
    brand = engine.brand(asked.brand)
    found = engine.found(brand, [account.row])
    card = views.cards(engine.explain(brand, found))[0]
    parts = bars.by_modality(found[0])
  count = min(8, len(catalogue.influencers) - 1)
  alike = []
  if count and (perspective is None or perspective not in account.lacks):
    alike = answers.similar(engine, engine.similar(account, count, perspective))
  suits = answers.brands_for(
    engine,
    engine.brands_for(
      account,
      min(6, len(catalogue.brands)),
      include_cooperating=True,
    ),
  )
  return site.page(
    'influencer.html',
    brand=asked.brand or '',
    who=answers.influencer_in_full(engine, account),
    lacks=words.lacks(account.lacks),
    topics=views.topics(engine, account, 'content_text'),
    audience_topics=views.topics(engine, account, 'audience_text'),
    card=card,
    parts=parts,
    alike=alike,
    suits=suits,
    perspective=perspective,
    perspectives={
      p: words.PERSPECTIVES.get(p, p) for p in catalogue.perspectives
    },
  )
