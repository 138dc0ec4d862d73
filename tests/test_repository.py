"""Files that a stranger looks for first agree with each other and the code."""

import configparser
import re

import pytest
import yaml

from tests import runs

ROOT = runs.ROOT
WORKFLOWS = sorted((ROOT / '.github' / 'workflows').glob('*.yml'))


def text_of(name: str) -> str:
  return (ROOT / name).read_text(encoding='utf-8')


def test_version_and_date_are_the_same_everywhere():
  parser = configparser.ConfigParser()
  parser.read(ROOT / 'setup.cfg', encoding='utf-8')
  citation = yaml.safe_load(text_of('CITATION.cff'))
  headings = re.findall(
    r'^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$', text_of('CHANGELOG.md'), re.M
  )
  assert headings == sorted(headings, reverse=True)
  version, date = headings[0]
  assert version == parser['metadata']['version'] == citation['version']
  assert date == citation['date-released']
  assert citation['license'] == parser['metadata']['license'] == 'Apache-2.0'
  assert citation['cff-version'] == '1.2.0'
  paper = citation['preferred-citation']
  assert paper['doi'] == '10.1109/TMM.2022.3151029'
  assert paper['doi'] in text_of('NOTICE')


def test_the_licence_is_whole():
  text = text_of('LICENSE')
  assert 'Apache License' in text
  assert 'Version 2.0, January 2004' in text
  assert 'END OF TERMS AND CONDITIONS' in text


@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_pins_its_actions_and_asks_for_little(path):
  text = path.read_text(encoding='utf-8')
  workflow = yaml.safe_load(text)
  assert workflow['permissions'] == {'contents': 'read'}
  uses = re.findall(r'uses: (.*)', text)
  assert uses
  for action in uses:
    assert re.fullmatch(r'[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+', action)
  for job in workflow['jobs'].values():
    assert job['timeout-minutes'] <= 90
    assert job['strategy']['matrix']['python'] == ['3.11', '3.12']


def test_ci_on_github_runs_what_ci_here_runs():
  (ci,) = (p for p in WORKFLOWS if p.stem == 'ci')
  jobs = yaml.safe_load(ci.read_text(encoding='utf-8'))['jobs']
  said = [step.get('run') for job in jobs.values() for step in job['steps']]
  assert 'bash .ci/run' in said
  assert 'bash .ci/package' in said
  assert 'bash .ci/pages' in said


def test_the_tutorials_and_the_notebook_are_run_by_ci():
  assert 'pytest -n 2 -m slow tests/docs' in text_of('.ci/pages')
  for name in ('test_tutorials.py', 'test_notebook.py'):
    assert '@pytest.mark.slow\n' in text_of(f'tests/docs/{name}')


def test_a_commit_is_checked_by_what_ci_checks():
  (local,) = yaml.safe_load(text_of('.pre-commit-config.yaml'))['repos']
  hooks = local['hooks']
  script = text_of('.ci/run')
  entries = {h['id']: h['entry'] for h in hooks}
  assert entries['mypy'] in script
  assert entries['ruff-check'].startswith('.venv/bin/ruff check')
  assert entries['ruff-format'].startswith('.venv/bin/ruff format')
  assert '.venv/bin/ruff check .' in script
  assert '.venv/bin/ruff format --check .' in script


def test_issue_forms_can_be_read():
  forms = sorted((ROOT / '.github' / 'ISSUE_TEMPLATE').glob('*_*.yml'))
  assert len(forms) == 2
  for path in forms:
    form = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert form['name'] and form['description']
    assert all(part['attributes']['label'] for part in form['body'])


@pytest.mark.parametrize(
  'name', ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
)
def test_links_to_files_of_the_repository_lead_somewhere(name):
  for target in re.findall(r'\]\(([^)#\s]+)', text_of(name)):
    if '://' not in target:
      assert (ROOT / target).exists(), target


def test_the_readme_is_short():
  assert len(text_of('README.md').splitlines()) < 300
