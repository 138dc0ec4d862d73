"""The shapes of the API's answers and questions, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from morning_jax.serving import query

Name = query.Name
Amount = Annotated[
  float, pydantic.Field(gt=0, le=1e15, allow_inf_nan=False, strict=False)
]


class Shape(pydantic.BaseModel):
  """A JSON object without other keys."""

  model_config = pydantic.ConfigDict(extra='forbid')


class ErrorBody(Shape):
  """What went wrong."""

  code: str
  message: str
  field: str | None
  request_id: str


class Error(Shape):
  """The body of every answer that is an error."""

  error: ErrorBody


class Part(Shape):
  """What one kind of information adds to a score; negative: it takes away."""

  perspective: str
  modality: str
  value: float


class Reason(Shape):
  """Something that was removed, and by how much the score fell."""

  words: str
  drop: float
  perspective: str
  kind: str
  name: str
  share: float


class Band(Shape):
  """How often such a place came true for brands the model had never seen."""

  name: str
  first: int
  last: int
  pairs: int
  cooperated: int
  all_pairs: int
  all_cooperated: int
  brands: int
  note: str
  words: str


class Precedent(Shape):
  """A known cooperation that speaks for a recommendation."""

  brand_id: str
  brand_similarity: float
  shared: list[str]
  influencer_id: str
  is_own: bool
  influencer_similarity: float
  words: str


class Recommendation(Shape):
  """One influencer of a ranking; the parts add up to score - typical_score."""

  rank: int
  place: int
  influencer_id: str
  followers: int | None
  category: str | None
  score: float
  typical_score: float
  parts: list[Part]
  cooperates_already: bool
  lacks: list[str]
  band: Band
  precedent: Precedent | None = None
  speaks_for: list[Reason] | None = None
  speaks_against: list[Reason] | None = None


class Source(Shape):
  """Where an answer comes from."""

  model_step: int
  bundle: str
  bundle_fingerprint: str


class Recommendations(Shape):
  """A ranking for a brand."""

  brand: str
  passed: int
  total: int
  source: Source
  recommendations: list[Recommendation]


class Pair(Shape):
  """One influencer for one brand, explained."""

  brand: str
  source: Source
  recommendation: Recommendation


class Brand(Shape):
  """A brand of the bundle."""

  brand_id: str
  category: str | None
  known_cooperations: int


class Brands(Shape):
  """Some of the brands."""

  total: int
  brands: list[Brand]


class Influencer(Shape):
  """What the bundle holds on an influencer."""

  influencer_id: str
  followers: int | None
  category: str | None
  biography: str | None = None
  attributes: list[str] | None = None
  lacks: list[str] | None = None


class Influencers(Shape):
  """Some of the influencers."""

  total: int
  influencers: list[Influencer]


class Similar(Shape):
  """Somebody who is like somebody else."""

  rank: int
  influencer_id: str
  followers: int | None
  category: str | None
  similarity: float


class SimilarTo(Shape):
  """Look-alikes of an influencer."""

  influencer: str
  perspective: str | None
  similar: list[Similar]


class BrandFor(Shape):
  """A brand that suits an influencer."""

  rank: int
  brand_id: str
  category: str | None
  score: float
  typical_score: float
  parts: list[Part]
  cooperates_already: bool


class BrandsFor(Shape):
  """Brands that suit an influencer."""

  influencer: str
  brands: list[BrandFor]


class Model(Shape):
  """The model, the data, and how well it ranked what it had never seen."""

  model_step: int
  bundle: str
  bundle_fingerprint: str
  is_own_data: bool
  brands: int
  influencers: int
  perspectives: list[str]
  features: dict[str, int]
  attributes: int
  metrics: dict[str, Any]
  notes: list[str]


class Choice(Shape):
  """One influencer of a shortlist, with what it added to those before."""

  order: int
  influencer_id: str
  score: float
  cost: float | None
  gain: float
  from_score: float
  from_diversity: float
  from_reach: float
  like: str | None
  like_similarity: float
  new: float | None


class Shortlist(Shape):
  """Influencers that were chosen together."""

  brand: str
  source: Source
  choices: list[Choice]
  value: float
  spent: float | None
  reached: float | None
  unit: str | None


Feature = Annotated[
  list[Annotated[float, pydantic.Field(allow_inf_nan=False)]],
  pydantic.Field(max_length=100_000),
]


class NewBrand(Shape):
  """A brand that the bundle does not have, in the features of a bundle."""

  name: str | None = pydantic.Field(default=None, max_length=200)
  category: str | None = pydantic.Field(default=None, max_length=200)
  attributes: Annotated[list[Name], pydantic.Field(max_length=1000)] | None = (
    None
  )
  content_image: Feature | None = None
  content_text: Feature | None = None
  audience_image: Feature | None = None
  audience_text: Feature | None = None
  attribute_embedding: Feature | None = None


class RankQuestion(Shape):
  """Whom should this brand work with?"""

  brand: NewBrand
  k: int = pydantic.Field(default=10, ge=1, le=200)
  reasons: bool = False
  filters: query.Filters = pydantic.Field(default_factory=query.Filters)


class SelectQuestion(Shape):
  """Which few should the brand choose together?"""

  brand: Name
  count: int = pydantic.Field(default=5, ge=1, le=50)
  budget: Amount | None = pydantic.Field(
    default=None, description='Of costs; without costs, of followers.'
  )
  costs: dict[Name, Amount] | None = pydantic.Field(
    default=None,
    max_length=200,
    description='Influencer -> cost. Who is not in it is not chosen.',
  )
  diversity: float = pydantic.Field(default=0.3, ge=0, le=1)
  reach: float = pydantic.Field(default=0.0, ge=0, le=100)
  filters: query.Filters = pydantic.Field(default_factory=query.Filters)


Format = Literal['csv', 'xlsx', 'json']
