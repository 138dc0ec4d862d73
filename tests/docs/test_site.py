"""The site builds without a warning, and no link on it leads nowhere."""

import html.parser
import subprocess
import sys
from types import SimpleNamespace
import urllib.parse

from mkdocs.exceptions import PluginError
import pytest

from docs import site_hooks
from tests import runs
from tests.docs import pages


class _Links(html.parser.HTMLParser):
  """Collects what a page links to, and its anchors."""

  def __init__(self) -> None:
    super().__init__()
    self.links: list[str] = []
    self.anchors: set[str] = set()

  def handle_starttag(self, tag, attrs):
    values = dict(attrs)
    if values.get('id'):
      self.anchors.add(values['id'])
    for name in ('href', 'src'):
      if values.get(name):
        self.links.append(values[name])


@pytest.fixture(scope='module')
def site(tmp_path_factory):
  folder = tmp_path_factory.mktemp('site') / 'site'
  done = subprocess.run(
    [sys.executable, '-m', 'mkdocs', 'build', '--strict', '-q', '-d', folder],
    cwd=pages.ROOT,
    capture_output=True,
    text=True,
    timeout=runs.PATIENCE,
    check=False,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return folder


def test_every_link_of_the_site_leads_somewhere(site):
  parsed = {}
  for page in site.rglob('*.html'):
    links = _Links()
    links.feed(page.read_text(encoding='utf-8'))
    parsed[page.resolve()] = links
  assert len(parsed) > 30
  broken = []
  for page, found in parsed.items():
    if page.name == '404.html':
      continue  # its links are absolute
    for link in found.links:
      url = urllib.parse.urlsplit(link)
      if url.scheme or url.netloc:
        continue
      target = page
      if url.path:
        target = (page.parent / urllib.parse.unquote(url.path)).resolve()
      if target.is_dir():
        target /= 'index.html'
      if not target.exists():
        broken.append(f'{page.relative_to(site)}: {link}')
      elif url.fragment and target in parsed:
        anchor = urllib.parse.unquote(url.fragment)
        if anchor not in parsed[target].anchors and anchor != '__skip':
          broken.append(f'{page.relative_to(site)}: {link}')
  assert broken == []


def test_the_reference_has_docstrings_and_the_method_its_equations(site):
  reference = (site / 'reference' / 'losses' / 'index.html').read_text()
  assert 'Computes losses of every brand of a batch' in reference
  method = (site / 'explanations' / 'method' / 'index.html').read_text()
  assert method.count('<math') > 20
  assert '\\mathrm' not in method


def test_every_page_is_reached_from_the_index():
  index = (pages.DOCS / 'index.md').read_text(encoding='utf-8')
  how_to = (pages.DOCS / 'how-to' / 'extend.md').read_text(encoding='utf-8')
  for page in pages.DOCS.rglob('*.md'):
    name = page.relative_to(pages.DOCS).as_posix()
    inside = name.removeprefix('how-to/')
    assert (
      name == 'index.md' or f']({name})' in index or (f']({inside})' in how_to)
    ), name


def markdown(text: str, page: str = 'how-to/tpu.md', **config) -> str:
  return site_hooks.on_page_markdown(
    text,
    page=SimpleNamespace(file=SimpleNamespace(src_uri=page)),
    config={'docs_dir': str(pages.DOCS), **config},
    files=None,
  )


def test_links_out_of_the_docs_go_to_the_repository():
  text = 'see [it](../../setup.cfg#x), [a page](../graph.md#weights)'
  assert markdown(text) == (
    'see it (`setup.cfg`), [a page](../graph.md#weights)'
  )
  assert markdown(text, repo_url='https://example.org/r/') == (
    'see [it](https://example.org/r/blob/main/setup.cfg#x),'
    ' [a page](../graph.md#weights)'
  )
  code = '```\n[it](../../nothing)\n```'
  assert markdown(code) == code


@pytest.mark.parametrize('target', ['../../nothing.py', '../../../outside'])
def test_a_link_to_no_file_fails_the_build(target):
  with pytest.raises(PluginError, match='is not there'):
    markdown(f'[it]({target})')


def test_no_reader_is_sent_to_another_host_by_the_theme(site):
  page = (site / 'index.html').read_text(encoding='utf-8')
  links = _Links()
  links.feed(page)
  for link in links.links:
    host = urllib.parse.urlsplit(link).netloc
    assert host in ('', 'squidfunk.github.io'), link
