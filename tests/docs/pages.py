"""The code of the pages in docs/, as it stands there."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / 'docs'


def blocks(page: str, language: str) -> list[str]:
  """Returns the fenced blocks of a language, in the order of the page."""
  text = (DOCS / page).read_text(encoding='utf-8')
  found = re.findall(rf'^```{language}\n(.*?)^```$', text, re.M | re.S)
  assert found, f'{page} has no block of {language}'
  return found
