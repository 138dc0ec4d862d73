"""Pictures lie in the raw folder or are refused."""

import os

import pytest

from morning_jax.features.raw import paths


@pytest.fixture
def root(tmp_path):
  folder = tmp_path / 'raw'
  (folder / 'images').mkdir(parents=True)
  (folder / 'images' / 'a.jpg').write_bytes(b'x')
  (tmp_path / 'secret.jpg').write_bytes(b'x')
  (folder / 'images' / 'out.jpg').symlink_to(tmp_path / 'secret.jpg')
  (folder / 'images' / 'in.jpg').symlink_to('a.jpg')
  (folder / 'up').symlink_to(tmp_path)
  return os.path.realpath(folder)


@pytest.mark.parametrize(
  ('name', 'stored'),
  [
    ('images/a.jpg', 'images/a.jpg'),
    ('./images//a.jpg', 'images/a.jpg'),
    ('images/in.jpg', 'images/in.jpg'),
    ('images/not_there.jpg', 'images/not_there.jpg'),
    ('images/ä ..jpg', 'images/ä ..jpg'),
  ],
)
def test_what_lies_inside_is_taken(root, name, stored):
  assert paths.check(root, name) == stored


@pytest.mark.parametrize(
  ('name', 'problem'),
  [
    ('../secret.jpg', 'leads out'),
    ('images/../../secret.jpg', 'leads out'),
    ('/etc/passwd', 'leads out'),
    ('images/out.jpg', 'a link out'),
    ('up/secret.jpg', 'a link out'),
    ('..\\secret.jpg', 'backslashes'),
    ('https://example.org/a.jpg', 'is an address'),
    ('file:///etc/passwd', 'is an address'),
    ('', 'is no path'),
    (7, 'is no path'),
    (None, 'is no path'),
    ('a\0b', 'is no path'),
    ('a' * 2000, 'more than 1,000 characters'),
  ],
)
def test_what_leads_out_is_refused(root, name, problem):
  with pytest.raises(ValueError, match=problem):
    paths.check(root, name)
