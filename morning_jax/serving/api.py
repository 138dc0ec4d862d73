"""The HTTP API under /api/v1; names are parameters, never parts of a path."""

from __future__ import annotations

import json
from typing import Annotated, Any

import fastapi
from fastapi import responses
import pydantic

from morning_jax.core import accounts as accounts_lib
from morning_jax.recommend import brand_file
from morning_jax.recommend import shortlist as shortlist_lib
from morning_jax.serving import answers
from morning_jax.serving import batches
from morning_jax.serving import engine as engine_lib
from morning_jax.serving import query
from morning_jax.serving import settings as settings_lib
from morning_jax.serving import shapes
from morning_jax.serving import threads

PREFIX = '/api/v1'
ERRORS: dict[int | str, dict[str, Any]] = {
  status: {'model': shapes.Error, 'description': words}
  for status, words in {
    400: 'The request is not well-formed.',
    401: 'The token is missing or wrong.',
    403: 'Another site asks.',
    404: 'There is none of that name; the message has the nearest.',
    413: 'The body is too large.',
    415: 'The body is no JSON.',
    422: 'The question makes no sense; `field` is at fault.',
    503: 'Too many questions at once, or it took too long.',
  }.items()
}
_FILES = {
  'csv': 'text/csv; charset=utf-8',
  'xlsx': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  'json': 'application/json',
}
BrandName = Annotated[query.Name, fastapi.Query(description='Its id.')]
InfluencerName = Annotated[query.Name, fastapi.Query(description='Its id.')]
Text = Annotated[query.Text, fastapi.Query(description='In name or category.')]
Count = Annotated[int, fastapi.Query(ge=1, le=settings_lib.MOST_K)]
Skip = Annotated[int, fastapi.Query(ge=0, le=10**9)]


class Ranked(query.Filters):
  """Parameters of a ranking."""

  brand: query.Name = pydantic.Field(description='Its id.')
  k: int = pydantic.Field(
    default=10, ge=1, le=settings_lib.MOST_K, description='How many.'
  )
  reasons: bool = pydantic.Field(
    default=False, description='Also a precedent and reasons: takes longer.'
  )


class Exported(query.Filters):
  """Parameters of a file."""

  brand: query.Name = fastapi.Query(description='Its id.')
  k: Count = fastapi.Query(default=50, description='How many, at most.')
  format: shapes.Format = fastapi.Query(default='csv')


def json_answer(value: Any) -> responses.Response:
  """Returns JSON; no shape is checked again."""
  return _of_text(json.dumps(value, allow_nan=False, separators=(',', ':')))


def _of_text(text: str | bytes) -> responses.Response:
  return responses.Response(text, media_type='application/json')


def router(
  engine: engine_lib.Engine, metrics: answers.Json
) -> fastapi.APIRouter:
  """Makes the routes of the API.

  Args:
    engine: answers.
    metrics: of the held-out brands, as `metrics.json` has them.
  """
  routes = fastapi.APIRouter(prefix=PREFIX, responses=ERRORS)
  waiting = batches.Batches(engine)

  # Routes are tried in turn: this is the one that is asked most.
  @routes.get(
    '/recommendations',
    response_model=shapes.Recommendations,
    tags=['ranking'],
    openapi_extra=query.described(Ranked),
  )
  async def recommendations(request: fastapi.Request) -> Any:
    """Influencers for a brand, best first, with the parts of their scores."""
    # Read here, since the framework takes longer for it than the ranking.
    asked = query.parse(
      Ranked, request.query_params.multi_items(), of_a_form=False
    )
    brand = engine.brand(asked.brand)
    filters = asked.as_filters()

    def explain() -> Any:
      ranking = engine.rank(brand, asked.k, filters)
      advice = engine.explain(brand, ranking.found)
      return answers.recommendations(engine, brand, ranking, advice)

    if asked.reasons:
      return json_answer(await threads.run(explain))
    scores = await waiting.scores(brand)
    # Besides the product, faster than a thread would start.
    order = engine.order(brand, asked.k, filters, scores=scores)
    return _of_text(answers.short_recommendations(engine, brand, order))

  @routes.get('/model', response_model=shapes.Model, tags=['model'])
  async def model() -> Any:
    """What is served, and how well it ranked brands it had never seen."""
    return json_answer(answers.model(engine, metrics))

  @routes.get('/brands', response_model=shapes.Brands, tags=['accounts'])
  async def brands(
    search: Text = '',
    skip: Skip = 0,
    limit: Count = 50,
  ) -> Any:
    """Brands of the bundle, by a part of their name or category."""

    def find() -> Any:
      total, rows = answers.search(
        engine, accounts_lib.BRAND, search, skip=skip, most=limit
      )
      found = [answers.brand(engine, row) for row in rows]
      return {'total': total, 'brands': found}

    return json_answer(await threads.run(find))

  @routes.get(
    '/influencers', response_model=shapes.Influencers, tags=['accounts']
  )
  async def influencers(
    search: Text = '',
    skip: Skip = 0,
    limit: Count = 50,
  ) -> Any:
    """Influencers of the bundle, by a part of their name or category."""

    def find() -> Any:
      total, rows = answers.search(
        engine, accounts_lib.INFLUENCER, search, skip=skip, most=limit
      )
      found = [answers.influencer(engine, row) for row in rows]
      return {'total': total, 'influencers': found}

    return json_answer(await threads.run(find))

  @routes.get(
    '/influencer', response_model=shapes.Influencer, tags=['accounts']
  )
  async def influencer(influencer: InfluencerName) -> Any:
    """What the bundle holds on one influencer."""
    account = engine.influencer(influencer)
    return json_answer(answers.influencer_in_full(engine, account))

  @routes.get('/pair', response_model=shapes.Pair, tags=['ranking'])
  async def pair(brand: BrandName, influencer: InfluencerName) -> Any:
    """One influencer for one brand: what speaks for and against."""
    account, other = engine.brand(brand), engine.influencer(influencer)
    assert other.row is not None
    row = other.row

    def explain() -> Any:
      advice = engine.explain(account, engine.found(account, [row]))
      return {
        'brand': account.account_id,
        'source': answers.source(engine),
        'recommendation': answers.entries(engine, account, advice)[0],
      }

    return json_answer(await threads.run(explain))

  @routes.get('/similar', response_model=shapes.SimilarTo, tags=['ranking'])
  async def similar(
    influencer: InfluencerName,
    perspective: Annotated[str | None, fastapi.Query(max_length=40)] = None,
    k: Count = 10,
  ) -> Any:
    """Influencers who are like one, in all respects or in one."""
    account = engine.influencer(influencer)

    def find() -> Any:
      found = engine.similar(account, k, perspective or None)
      return {
        'influencer': account.account_id,
        'perspective': perspective or None,
        'similar': answers.similar(engine, found),
      }

    return json_answer(await threads.run(find))

  @routes.get(
    '/matching-brands', response_model=shapes.BrandsFor, tags=['ranking']
  )
  async def matching_brands(
    influencer: InfluencerName,
    k: Count = 10,
    include_cooperating: bool = False,
  ) -> Any:
    """Brands that suit an influencer, best first."""
    account = engine.influencer(influencer)

    def find() -> Any:
      found = engine.brands_for(
        account, k, include_cooperating=include_cooperating
      )
      return {
        'influencer': account.account_id,
        'brands': answers.brands_for(engine, found),
      }

    return json_answer(await threads.run(find))

  @routes.post(
    '/brands:rank', response_model=shapes.Recommendations, tags=['ranking']
  )
  async def rank_new(asked: shapes.RankQuestion) -> Any:
    """Influencers for a brand that the bundle does not have."""

    def rank() -> Any:
      brand = brand_file.parse_brand(
        asked.brand.model_dump(exclude_none=True), engine.catalogue
      )
      ranking = engine.rank(brand, asked.k, asked.filters.as_filters())
      advice = engine.explain(brand, ranking.found, with_reasons=asked.reasons)
      return answers.recommendations(engine, brand, ranking, advice)

    return json_answer(await threads.run(rank))

  @routes.post(
    '/shortlists:select', response_model=shapes.Shortlist, tags=['ranking']
  )
  async def select(asked: shapes.SelectQuestion) -> Any:
    """A few influencers who are good together, and affordable."""
    brand = engine.brand(asked.brand)
    wishes = shortlist_lib.Wishes(
      count=asked.count,
      budget=asked.budget,
      diversity=asked.diversity,
      reach=asked.reach,
    )
    for name in asked.costs or ():
      engine.influencer(name)

    def choose() -> Any:
      found = engine.shortlist(
        brand,
        wishes,
        costs=asked.costs,
        filters=asked.filters.as_filters(),
      )
      return answers.shortlist(engine, brand.account_id, found)

    return json_answer(await threads.run(choose))

  @routes.get(
    '/export',
    tags=['ranking'],
    response_class=responses.Response,
    responses={200: {'content': {m: {} for m in _FILES.values()}}},
  )
  async def export(asked: Annotated[Exported, fastapi.Query()]) -> Any:
    """A ranking or a list of influencers as a file, safe in a spreadsheet."""
    brand = engine.brand(asked.brand)

    def write() -> bytes:
      count = min(asked.k, len(engine.catalogue.influencers))
      ranking = engine.rank(brand, count, asked.as_filters())
      advice = engine.explain(brand, ranking.found)
      return answers.as_file(engine, brand, advice, asked.format)

    return responses.Response(
      await threads.run(write),
      media_type=_FILES[asked.format],
      headers={
        'content-disposition': (
          f'attachment; filename="recommendations.{asked.format}"'
        )
      },
    )

  return routes
