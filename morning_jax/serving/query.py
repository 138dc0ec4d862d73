"""Filters as a request has them, in an address or in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

import pydantic

from morning_jax.recommend import filters as filters_lib
from morning_jax.serving import failures
from morning_jax.serving import settings as settings_lib

Name = Annotated[
  str,
  pydantic.Field(min_length=1, max_length=settings_lib.LONGEST_NAME),
]
Names = Annotated[
  tuple[Name, ...], pydantic.Field(max_length=settings_lib.MOST_IDS)
]
Text = Annotated[str, pydantic.Field(max_length=settings_lib.LONGEST_NAME)]
Followers = Annotated[int, pydantic.Field(ge=0, le=10**12)]


class Filters(pydantic.BaseModel):
  """Who may be recommended: all of the fields, any of the values of a field."""

  model_config = pydantic.ConfigDict(extra='forbid')

  followers_from: Followers | None = pydantic.Field(
    default=None, description='This many followers at least.'
  )
  followers_to: Followers | None = pydantic.Field(
    default=None, description='This many followers at most.'
  )
  category: Names = pydantic.Field(
    default=(), description='Of one of these categories.'
  )
  attribute: Names = pydantic.Field(
    default=(), description='With one of these attributes.'
  )
  found_under: Names = pydantic.Field(
    default=(), description='Found under one of these categories.'
  )
  needs: Names = pydantic.Field(
    default=(), description='Shows something of these perspectives.'
  )
  include_cooperating: bool = pydantic.Field(
    default=False, description='Also who has worked with the brand already.'
  )
  influencer: Names = pydantic.Field(
    default=(), description='None but these influencers.'
  )
  exclude: Names = pydantic.Field(
    default=(), description='Without these influencers.'
  )

  def as_filters(self) -> filters_lib.Filters:
    """Returns them as the library takes them."""
    return filters_lib.Filters(
      followers_from=self.followers_from,
      followers_to=self.followers_to,
      category=self.category,
      attribute=self.attribute,
      found_under=self.found_under,
      include_cooperating=self.include_cooperating,
      candidates=self.influencer or None,
      exclude=frozenset(self.exclude),
      needs=self.needs,
    )


class Listed(pydantic.BaseModel):
  """Parameters of a list that is searched."""

  search: Text = ''
  page: Annotated[int, pydantic.Field(ge=1, le=10**6)] = 1


class RankingPage(Filters):
  """Parameters of a ranking's page."""

  brand: Name
  page: Annotated[int, pydantic.Field(ge=1, le=20)] = 1
  like: Names = ()
  dislike: Names = ()


class InfluencerPage(pydantic.BaseModel):
  """Parameters of an influencer's page."""

  influencer: Name
  brand: Name | None = None
  perspective: Annotated[str, pydantic.Field(max_length=40)] | None = None


class ShortlistPage(pydantic.BaseModel):
  """Parameters of a shortlist's page; costs are in the order of influencers."""

  brand: Name | None = None
  influencer: Annotated[tuple[Name, ...], pydantic.Field(max_length=50)] = ()
  cost: Annotated[
    tuple[Annotated[str, pydantic.Field(max_length=20)], ...],
    pydantic.Field(max_length=50),
  ] = ()
  count: Annotated[int, pydantic.Field(ge=1, le=50)] | None = None
  budget: (
    Annotated[float, pydantic.Field(gt=0, le=1e15, allow_inf_nan=False)] | None
  ) = None
  diversity: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.3
  reach: Annotated[float, pydantic.Field(ge=0, le=100)] = 0.0


class NewBrandPage(pydantic.BaseModel):
  """Parameters of a new brand's page: what was ticked."""

  topic: Annotated[
    tuple[Annotated[int, pydantic.Field(ge=0)], ...],
    pydantic.Field(max_length=64),
  ] = ()
  audience_topic: Annotated[
    tuple[Annotated[int, pydantic.Field(ge=0)], ...],
    pydantic.Field(max_length=64),
  ] = ()
  attribute: Names = ()


def described(model: type[pydantic.BaseModel]) -> dict[str, Any]:
  """Returns what OpenAPI says of a model whose fields are parameters."""
  schema = model.model_json_schema()
  needed = schema.get('required', [])
  parameters = []
  for name, field in schema['properties'].items():
    text = field.pop('description', '')
    parameters.append(
      {
        'name': name,
        'in': 'query',
        'required': name in needed,
        'description': text,
        'schema': field,
      }
    )
  return {'parameters': parameters}


Model = TypeVar('Model', bound=pydantic.BaseModel)
_KEPT_EMPTY = 'cost'  # its place says whose it is


def parse(
  model: type[Model],
  parameters: Iterable[tuple[str, str]],
  *,
  of_a_form: bool = True,
) -> Model:
  """Reads the parameters of an address.

  Args:
    model: which there are.
    parameters: names and values, in the order of the address.
    of_a_form: whether they may come from a form of a page: empty fields do not
      count then, and others than those of the model are passed over.

  Raises:
    Failure: one is not what it should be.
  """
  values: dict[str, Any] = {}
  for name, value in parameters:
    field = model.model_fields.get(name)
    if of_a_form and (field is None or (not value and name != _KEPT_EMPTY)):
      continue
    if field is not None and isinstance(field.default, tuple):
      values.setdefault(name, []).append(value)
    else:
      values[name] = value
  try:
    return model.model_validate(values)
  except pydantic.ValidationError as e:
    first = e.errors(include_url=False, include_context=False)[0]
    name = '.'.join(str(x) for x in first['loc'])[:100]
    raise failures.Failure(
      422, 'invalid_input', f'{name}: {first["msg"]}'[:300], name
    ) from None
