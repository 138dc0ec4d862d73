"""Hooks of MkDocs: links out of docs/, and equations.

On the repository's own pages `../tests/x.py` is a link. The site has no such
page: the link becomes one to the repository where `repo_url` is set in
mkdocs.yml, and the file's name where it is not. A link to a file that is not
there, or out of the repository, is an error either way.

Equations become MathML, which browsers draw by themselves: no script is loaded.
"""

import html
import os
import pathlib
import posixpath
import re

from latex2mathml import converter
from mkdocs.exceptions import PluginError

_FENCE = re.compile(r'^(```|~~~).*?^\1', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r'(?<!!)\[([^\]]*)\]\((\.\./[^)\s#]*)(#[^)\s]*)?\)')
_MATH = re.compile(
  r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL
)


def on_page_markdown(markdown, *, page, config, files):
  """Replaces links of a page that lead out of docs/."""
  del files
  docs = pathlib.Path(config['docs_dir'])
  root = docs.parent
  here = posixpath.dirname(page.file.src_uri)

  def replaced(match):
    text, target, anchor = match.groups()
    within = posixpath.normpath(posixpath.join(here, target))
    if not within.startswith('..'):
      return match.group(0)  # a page of the site, which MkDocs checks
    path = pathlib.Path(os.path.normpath(docs / within))
    if not path.exists() or root not in path.parents:
      raise PluginError(f'{page.file.src_uri}: {target} is not there')
    name = path.relative_to(root).as_posix()
    if not config.get('repo_url'):
      return f'{text} (`{name}`)'
    url = f'{config["repo_url"].rstrip("/")}/blob/main/{name}'
    return f'[{text}]({url}{anchor or ""})'

  parts, end = [], 0
  for fence in _FENCE.finditer(markdown):
    parts.append(_LINK.sub(replaced, markdown[end : fence.start()]))
    parts.append(fence.group(0))
    end = fence.end()
  parts.append(_LINK.sub(replaced, markdown[end:]))
  return ''.join(parts)


def on_page_content(content, *, page, config, files):
  """Turns equations into MathML."""
  del page, config, files

  def converted(match):
    display = 'block' if match.group(2) == '[' else 'inline'
    return converter.convert(html.unescape(match.group(3)), display=display)

  return _MATH.sub(converted, content)
