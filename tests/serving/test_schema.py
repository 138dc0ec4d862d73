"""Random questions to the API, made from its own description."""

import pytest

from tests.serving import clients

schemathesis = pytest.importorskip('schemathesis')
openapi_checks = pytest.importorskip('schemathesis.specs.openapi.checks')
hypothesis = pytest.importorskip('hypothesis')

HOST = {'host': 'localhost:8000'}


def statuses_of(operation) -> set[int]:
  """Asks random questions of one kind; returns the statuses of the answers."""
  statuses = set()

  @hypothesis.settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  @hypothesis.given(case=operation.as_strategy())
  def ask(case):
    answer = case.call(headers=HOST)
    # Types allow what makes no sense: an unknown category, an empty brand.
    case.validate_response(
      answer, excluded_checks=[openapi_checks.positive_data_acceptance]
    )
    statuses.add(answer.status_code)

  ask()
  return statuses


def test_answers_are_as_described_whatever_is_asked(ask):
  schema = schemathesis.openapi.from_asgi(
    f'{clients.API}/openapi.json', ask.app, headers=HOST
  )
  statuses = [statuses_of(r.ok()) for r in schema.get_all_operations()]
  assert len(statuses) >= 13
  assert max(set.union(*statuses)) < 500
  assert {200, 404, 422} <= set.union(*statuses)
