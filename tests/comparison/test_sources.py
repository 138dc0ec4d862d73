"""What a module imports, directly or not."""

import pytest

from morning_jax.comparison import sources


@pytest.fixture
def package(tmp_path, monkeypatch):
  """A package of which `a` imports `b` and, inside a function, `deep.c`."""
  texts = {
    'morning_jax/__init__.py': '',
    'morning_jax/a.py': 'import json\nfrom morning_jax import b, missing\n',
    'morning_jax/b.py': 'def f():\n  from morning_jax.deep import c\n',
    'morning_jax/deep/__init__.py': 'import morning_jax.deep.d\n',
    'morning_jax/deep/c.py': 'from morning_jax.a import x\n',
    'morning_jax/deep/d.py': 'from other import e\n',
    'morning_jax/deep/e.py': '',
    'other.py': '',
  }
  for name, text in texts.items():
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  monkeypatch.setattr(sources, '_ROOT', tmp_path)
  return tmp_path


def test_imports_are_followed(package):
  assert sources.closure('morning_jax.a') == {
    'morning_jax': package / 'morning_jax/__init__.py',
    'morning_jax.a': package / 'morning_jax/a.py',
    'morning_jax.b': package / 'morning_jax/b.py',
    'morning_jax.deep': package / 'morning_jax/deep/__init__.py',
    'morning_jax.deep.c': package / 'morning_jax/deep/c.py',
    'morning_jax.deep.d': package / 'morning_jax/deep/d.py',
  }


def test_a_module_without_imports_needs_its_packages(package):
  del package
  assert set(sources.closure('morning_jax.deep.e')) == {
    'morning_jax',
    'morning_jax.deep',
    'morning_jax.deep.d',
    'morning_jax.deep.e',
  }
