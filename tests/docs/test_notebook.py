"""The notebook runs from first to last cell, and its outputs are small."""

import json
import pathlib

import nbclient
import nbformat
import pytest

from tests import runs
from tests.docs import pages

NOTEBOOK = pages.ROOT / 'examples' / 'first_ranking.ipynb'
LARGEST = 200_000  # bytes, pictures included


def text_of(notebook: nbformat.NotebookNode) -> str:
  return json.dumps([c.get('outputs', []) for c in notebook.cells])


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(pages.ROOT))
  for name, value in runs.environment().items():
    monkeypatch.setenv(name, value)
  notebook = nbformat.read(NOTEBOOK, as_version=4)
  nbclient.NotebookClient(
    notebook,
    timeout=runs.PATIENCE,
    kernel_name='python3',
    resources={'metadata': {'path': str(NOTEBOOK.parent)}},
  ).execute()
  text = text_of(notebook)
  assert 'topics alone' in text
  assert 'image/jpeg' in text
  assert len(text) < LARGEST


def test_the_notebook_is_stored_with_small_outputs_and_no_paths():
  assert NOTEBOOK.stat().st_size < LARGEST
  notebook = nbformat.read(NOTEBOOK, as_version=4)
  nbformat.validate(notebook)
  code = [c for c in notebook.cells if c.cell_type == 'code']
  assert all(c.execution_count for c in code)
  assert [c for c in code if c.outputs]
  kinds = {o.output_type for c in code for o in c.outputs}
  assert 'error' not in kinds
  text = text_of(notebook)
  assert 'topics alone' in text
  assert "'auc'" in text
  for place in ('/home/', '/root/', str(pathlib.Path.home())):
    assert place not in text
