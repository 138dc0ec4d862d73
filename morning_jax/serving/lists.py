"""The pages of a shortlist and of a new brand."""

from __future__ import annotations

from typing import Any

import fastapi
from fastapi import responses
import numpy as np

from morning_jax.core import errors
from morning_jax.recommend import brand_file
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import look_alikes
from morning_jax.recommend import shortlist as shortlist_lib
from morning_jax.serving import failures
from morning_jax.serving import query
from morning_jax.serving import site as site_lib
from morning_jax.serving import threads
from morning_jax.serving import views


def router(site: site_lib.Site) -> fastapi.APIRouter:
  """Makes the routes.

  Args:
    site: templates and the engine.
  """
  routes = fastapi.APIRouter(include_in_schema=False)

  @routes.get('/shortlist')
  async def shortlist(request: fastapi.Request) -> responses.Response:
    asked = query.parse(query.ShortlistPage, request.query_params.multi_items())
    return await threads.run(lambda: _shortlist(site, asked))

  @routes.get('/new-brand')
  async def new_brand(request: fastapi.Request) -> responses.Response:
    asked = query.parse(query.NewBrandPage, request.query_params.multi_items())
    return await threads.run(lambda: _new_brand(site, asked))

  @routes.post('/new-brand')
  async def pasted(value: dict[str, Any]) -> responses.Response:
    def rank() -> responses.Response:
      brand = brand_file.parse_brand(value, site.engine.catalogue)
      return site.page('new_brand_ranking.html', **_ranked(site, brand))

    return await threads.run(rank)

  return routes


def _shortlist(
  site: site_lib.Site, asked: query.ShortlistPage
) -> responses.Response:
  engine = site.engine
  names = list(dict.fromkeys(asked.influencer))
  if not asked.brand or not names:
    return site.page(
      'shortlist.html', brand=asked.brand or '', people=[], asked=asked
    )
  brand = engine.brand(asked.brand)
  accounts = [engine.influencer(name) for name in names]
  rows = [a.row for a in accounts if a.row is not None]
  cards = views.cards(
    engine.explain(brand, engine.found(brand, rows), with_reasons=False)
  )
  cost_of = _costs(asked)
  chosen, problem = None, ''
  if asked.count is not None:
    try:
      chosen = _choose(site, asked, brand, names, cost_of)
    except (errors.UserError, failures.Failure) as e:
      problem = str(e)
  added = {c.account_id: c for c in chosen.choices} if chosen else {}
  likest = _likest(engine.catalogue, accounts)
  people = [
    {
      'card': card,
      'cost': cost_of.get(card.name),
      'like': likest[card.name],
      'choice': added.get(card.name),
      'others': [n for n in names if n != card.name],
    }
    for card in sorted(cards, key=lambda c: c.place)
  ]
  followers = [c.followers for c in cards if c.followers is not None]
  return site.page(
    'shortlist.html',
    brand=brand.account_id,
    asked=asked,
    people=people,
    names=names,
    followers=sum(followers) if followers else None,
    chosen=chosen,
    kept=list(added),
    problem=problem,
    can_count_people=engine.catalogue.dataset.audience is not None,
    has_audience='audience' in engine.catalogue.slices,
  )


def _costs(asked: query.ShortlistPage) -> dict[str, float]:
  found = {}
  for name, text in zip(asked.influencer, asked.cost, strict=False):
    if not text.strip():
      continue
    try:
      cost = float(text.replace(',', ''))
    except ValueError:
      cost = -1.0
    if not 0 < cost < 1e15:
      raise failures.Failure(
        422, 'invalid_input', f'price {errors.quoted(text)}: no number above 0'
      )
    found[name] = cost
  return found


def _choose(
  site: site_lib.Site,
  asked: query.ShortlistPage,
  brand: catalogue_lib.Account,
  names: list[str],
  cost_of: dict[str, float],
) -> shortlist_lib.Shortlist:
  missing = [n for n in names if n not in cost_of]
  if cost_of and asked.budget is not None and missing:
    raise errors.UserError(
      f'a budget in money needs a price for everybody: {missing[0]} has none'
    )
  filters = query.Filters(influencer=tuple(names), include_cooperating=True)
  return site.engine.shortlist(
    brand,
    shortlist_lib.Wishes(
      count=min(asked.count or 1, len(names)),
      budget=asked.budget,
      diversity=asked.diversity,
      reach=asked.reach,
    ),
    costs=cost_of if cost_of and not missing else None,
    filters=filters.as_filters(),
  )


def _likest(
  catalogue: catalogue_lib.Catalogue, accounts: list[catalogue_lib.Account]
) -> dict[str, tuple[str, float] | None]:
  """Returns who of a list is most like each of it, and how much."""
  rows = np.array([a.row for a in accounts])
  found: dict[str, tuple[str, float] | None] = {}
  for i, account in enumerate(accounts):
    similarity = look_alikes.similarities(catalogue, account)[rows]
    similarity[i] = -2.0
    best = int(similarity.argmax())
    found[account.account_id] = (
      (accounts[best].account_id, float(similarity[best]))
      if len(accounts) > 1
      else None
    )
  return found


def _new_brand(
  site: site_lib.Site, asked: query.NewBrandPage
) -> responses.Response:
  catalogue = site.engine.catalogue
  sizes = catalogue.trained.spec.feature_sizes
  names = catalogue.dataset.feature_names
  value: dict[str, Any] = {}
  choices: dict[str, list[tuple[int, str]]] = {}
  for field, feature in (
    ('topic', 'content_text'),
    ('audience_topic', 'audience_text'),
  ):
    named = names.get(feature, ()) if feature in sizes else ()
    choices[field] = [(i, name) for i, name in enumerate(named) if name]
    ticked = sorted(set(getattr(asked, field)))
    if ticked and ticked[-1] < sizes.get(feature, 0):
      weights = np.zeros(sizes[feature])
      weights[ticked] = 1 / len(ticked)
      value[feature] = weights.tolist()
    elif ticked:
      raise failures.Failure(422, 'invalid_input', f'{field}: there is no such')
  known = list(dict.fromkeys(catalogue.dataset.attribute_names))
  takes_lists = any(not m for m in catalogue.trained.spec.perspectives.values())
  if asked.attribute:
    value['attributes'] = list(asked.attribute)
  ranked: dict[str, Any] = {'cards': [], 'brand_lacks': ''}
  problem = ''
  if value:
    try:
      brand = brand_file.parse_brand(value, catalogue)
      ranked = _ranked(site, brand)
    except errors.UserError as e:
      problem = str(e)
  return site.page(
    'new_brand.html',
    asked=asked,
    topics=choices['topic'],
    audience_topics=choices['audience_topic'],
    attributes=known if takes_lists else [],
    sizes=sizes,
    problem=problem,
    **ranked,
  )


def _ranked(
  site: site_lib.Site, brand: catalogue_lib.Account
) -> dict[str, Any]:
  engine = site.engine
  count = min(site.settings.page_rows, len(engine.catalogue.influencers))
  advice = engine.explain(brand, engine.rank(brand, count).found)
  missing = {
    'content': 'what it posts',
    'audience': 'who follows it',
    'attribute': 'what it is into',
  }
  return {
    'cards': views.cards(advice),
    'brand_lacks': ' and '.join(missing.get(p, p) for p in brand.lacks),
  }
