"""A hook of MkDocs: links out of docs/ to files of the repository.

On the repository's own pages `../tests/x.py` is a link. The site has no such
page: the link becomes one to the repository where `repo_url` is set in mkdocs.yml,
and the file's name where it is not. A link to a file that is not there, or out of
the repository, is an error either way.
"""

import os
import pathlib
import posixpath
import re

from mkdocs.exceptions import PluginError

_FENCE = re.compile(r'^(```|~~~).*?^\1', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r'(?<!!)\[([^\]]*)\]\((\.\./[^)\s#]*)(#[^)\s]*)?\)')


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
    if not config.get('repo_url'):
      return f'{text} (`{path.relative_to(root).as_posix()}`)'
    url = f'{config["repo_url"].rstrip("/")}/blob/main'
    return f'[{text}]({url}/{path.relative_to(root).as_posix()}{anchor or ""})'

  parts, end = [], 0
  for fence in _FENCE.finditer(markdown):
    parts.append(_LINK.sub(replaced, markdown[end : fence.start()]))
    parts.append(fence.group(0))
    end = fence.end()
  parts.append(_LINK.sub(replaced, markdown[end:]))
  return ''.join(parts)
