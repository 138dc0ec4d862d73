"""Random questions to the API, made from its own description."""

import pytest

from tests.serving import clients

schemathesis = pytest.importorskip('schemathesis')
openapi_checks = pytest.importorskip('schemathesis.specs.openapi.checks')
hypothesis = pytest.importorskip('hypothesis')


def test_answers_are_as_described_whatever_is_asked(ask):
  schema = schemathesis.openapi.from_asgi(
    f'{clients.API}/openapi.json',
    ask.app,
    headers={'host': 'localhost:8000'},
  )
  seen: dict[str, set[int]] = {}

  for result in schema.get_all_operations():
    operation = result.ok()
    statuses = seen.setdefault(operation.label, set())

    @hypothesis.settings(
      max_examples=5,
      deadline=None,
      database=None,
      derandomize=True,
      suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask_one(case, statuses=statuses):
      answer = case.call(headers={'host': 'localhost:8000'})
      # Types allow what makes no sense: an unknown category, an empty brand.
      case.validate_response(
        answer, excluded_checks=[openapi_checks.positive_data_acceptance]
      )
      statuses.add(answer.status_code)
      assert answer.status_code < 500, answer.text

    ask_one()
  assert len(seen) >= 13
