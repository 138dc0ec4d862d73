"""The reference of the API, from its own description."""

from __future__ import annotations

import json
from typing import Any

_EXAMPLES = {
  '/api/v1/brands:rank': {
    'brand': {'name': 'acme', 'content_text': [0.1, 0.9]},
    'k': 10,
  },
  '/api/v1/shortlists:select': {'brand': 'NAME', 'count': 5, 'budget': 50000},
}


def operations(openapi: dict[str, Any]) -> list[dict[str, Any]]:
  """Returns what a page shows of each operation.

  Args:
    openapi: the description.

  Returns:
    Method, path, words, parameters, an example of a body, and statuses.
  """
  shapes = openapi.get('components', {}).get('schemas', {})
  found = []
  for path, methods in openapi['paths'].items():
    for method, operation in methods.items():
      body = ''
      if 'requestBody' in operation:
        body = json.dumps(_EXAMPLES.get(path, {}))
      found.append(
        {
          'method': method.upper(),
          'path': path,
          'text': operation.get('description') or operation.get('summary', ''),
          'parameters': [
            {
              'name': p['name'],
              'kind': _kind(p['schema'], shapes),
              'required': p.get('required', False),
              'text': p.get('description', ''),
            }
            for p in operation.get('parameters', [])
          ],
          'body': body,
          'fields': _fields(operation, shapes),
          'statuses': sorted(operation.get('responses', {})),
        }
      )
  return found


def _fields(
  operation: dict[str, Any], shapes: dict[str, Any]
) -> list[dict[str, str]]:
  content = operation.get('responses', {}).get('200', {}).get('content', {})
  shape = _resolved(
    content.get('application/json', {}).get('schema', {}), shapes
  )
  return [
    {'name': name, 'kind': _kind(field, shapes)}
    for name, field in shape.get('properties', {}).items()
  ]


def _resolved(shape: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
  name = shape.get('$ref', '').rpartition('/')[2]
  found: dict[str, Any] = shapes.get(name, {}) if name else shape
  return found


def _kind(shape: dict[str, Any], shapes: dict[str, Any]) -> str:
  """Returns a type in a few words."""
  if 'anyOf' in shape:
    return ' or '.join(_kind(s, shapes) for s in shape['anyOf'])
  if '$ref' in shape:
    return str(shape['$ref'].rpartition('/')[2])
  if 'enum' in shape:
    return ', '.join(map(str, shape['enum']))
  if shape.get('type') == 'array':
    return f'list of {_kind(shape.get("items", {}), shapes)}'
  kind = {
    'string': 'text',
    'integer': 'whole number',
    'boolean': 'true or false',
    'null': 'nothing',
  }.get(shape.get('type', ''), shape.get('type', 'value'))
  if 'minimum' in shape and 'maximum' in shape:
    kind += f' {shape["minimum"]:,}..{shape["maximum"]:,}'
  return str(kind)
