"""What docs/how-to/extend/ adds from outside of the package is there then.

The code of the pages is run as it stands. Quick tests add it in this process
and take it back; a slow one trains and compares with all of it, in processes
that `MORNING_PLUGINS` tells of it.
"""

import dataclasses
import os
import subprocess
import sys

import jax
from jax import numpy as jnp
import numpy as np
import pytest

from configs import morning as config_lib
from morning_jax.comparison.methods import interface
from morning_jax.comparison.methods import registry
from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import input_spec
from morning_jax.core import perspectives
from morning_jax.core import plugins
from morning_jax.data import splits
from morning_jax.data.bundle import bundle
from morning_jax.data.bundle import forgetting
from morning_jax.features.images import encoders
from morning_jax.features.images import options as image_options
from morning_jax.features.importers import registry as importers
from morning_jax.features.importers import writing as importing
from morning_jax.losses import negative_sampling
from morning_jax.model import factory
from morning_jax.training import config_check
from morning_jax.training import loss_table
from tests import runs
from tests.docs import pages

TRAINING = ('perspective', 'modality', 'loss', 'encoder', 'method')
PREPARING = ('importer', 'image-encoder')
PAGES = (*TRAINING, *PREPARING)


def code_of(page: str) -> str:
  return '\n'.join(pages.blocks(f'how-to/extend/{page}.md', 'python'))


@pytest.fixture
def tables(monkeypatch):
  """Takes back what a test adds to the tables."""
  for module, name in (
    (accounts_lib, 'PERSPECTIVES'),
    (accounts_lib, 'FEATURES'),
    (accounts_lib, 'TOPIC_FEATURES'),
    (perspectives, 'MODALITIES'),
    (loss_table, 'LOSSES'),
    (factory, 'ENCODERS'),
    (registry, 'METHODS'),
    (importers, 'IMPORTERS'),
    (encoders, '_ENCODERS'),
  ):
    value = getattr(module, name)
    if isinstance(value, dict):
      value = {
        k: dict(v) if isinstance(v, dict) else v for k, v in value.items()
      }
    elif isinstance(value, list):
      value = list(value)
    monkeypatch.setattr(module, name, value)


def add(page: str) -> dict:
  """Runs a page's code as a module would be imported."""
  names: dict = {'__name__': f'my_{page}'}
  exec(compile(code_of(page), f'{page}.md', 'exec'), names)
  return names


def world_with(feature: str, size: int) -> accounts_lib.Dataset:
  """The small world with one more feature, which one account lacks."""
  dataset = runs.small_world()
  x_AxF = np.random.default_rng(0).random((len(dataset.accounts), size))
  x_AxF[3] = np.nan
  features = {**dataset.features, feature: x_AxF.astype(np.float32)}
  return dataclasses.replace(dataset, features=features)


def encoded(config, dataset) -> dict:
  """Representations of four accounts by an untrained model."""
  config_check.check(config)
  spec, _ = input_spec.resolve(
    config.model, dataset.feature_sizes, dataset.attribute_names
  )
  model = factory.build(config.model, spec)
  table = factory.example_table(spec)
  params = model.init(jax.random.key(0), table, table)
  return model.apply(params, table, role='brand', method='encode')


def without_graph():
  config = config_lib.get_config('smoke')
  config.model.attribute.encoder = 'embedding'
  return config


def test_a_perspective_is_read_encoded_and_forgotten(tables, tmp_path):
  with pytest.raises(errors.UserError, match="'product' is none of"):
    config = without_graph()
    config.model.perspectives = ('content', 'product')
    config_check.check(config)
  add('perspective')
  bundle.write_bundle(world_with('product_image', 8), tmp_path / 'b')
  dataset = bundle.read_bundle(tmp_path / 'b')
  assert dataset.features['product_image'].shape == (len(dataset.accounts), 8)
  found = encoded(config, dataset)
  assert list(found) == ['content', 'product']
  assert found['product'].shape[0] == 1
  place = forgetting.find(
    dataset.accounts, str(dataset.accounts.ids[3]), role=accounts_lib.BRAND
  )
  forgetting.forget(tmp_path / 'b', dataset.accounts, place)
  left = np.load(tmp_path / 'b' / 'product_image.npy')
  assert len(left) == len(dataset.accounts) - 1
  assert not np.isnan(left).any()


def test_a_modality_joins_its_perspective(tables):
  dataset = world_with('content_sound', 16)
  config = without_graph()
  config.model.modalities = ('image', 'text')
  before = encoded(config, dataset)['content'].shape[1]
  add('modality')
  config.model.modalities = ('image', 'text', 'sound')
  spec, _ = input_spec.resolve(config.model, dataset.feature_sizes)
  assert spec.perspectives['content']['sound'] == 'content_sound'
  assert spec.transforms['content_sound'] == 'whiten'
  # As wide as its MLP's last layer, which is wider than the feature.
  after = encoded(config, dataset)['content'].shape[1]
  assert after == before + config.model.text_widths[-1]


def test_a_loss_is_chosen_and_computed(tables):
  add('loss')
  config = config_lib.get_config('smoke')
  config.loss.kind = 'margin'
  config_check.check(config)
  assert loss_table.negatives(config) == 0
  # Brands 0 and 0 with influencers 0 and 1, brand 1 with influencer 2: the
  # first two influencers are positives of both of the first rows.
  brand_P, candidate_P = jnp.array([0, 0, 1]), jnp.array([0, 1, 2])
  lists = negative_sampling.make_positive_lists(
    np.array([0, 0, 1]), np.array([0, 1, 2]), num_brands=2, num_candidates=3
  )
  inputs = loss_table.LossInputs(
    brand={'content': jnp.array([[1.0], [1.0], [0.5]])},
    influencer={'content': jnp.array([[2.0], [0.0], [1.0]])},
    brand_P=brand_P,
    candidate_P=candidate_P,
    category_P=jnp.array([-1, -1, -1]),
    lists=jax.tree.map(jnp.asarray, lists),
    settings=config.loss,
    negatives=0,
  )
  parts = loss_table.LOSSES['margin'].parts(inputs)
  # Scores: rows (2, 0, 1), (2, 0, 1), (1, 0, 0.5). Unknown: (0, 2), (1, 2),
  # (2, 0), (2, 1), with hinges 1 + 1 - 2, 1 + 1 - 0, 1 + 1 - 0.5, 1 + 0 - 0.5.
  assert float(parts['margin']) == pytest.approx((0 + 2 + 1.5 + 0.5) / 4)


def test_an_encoder_is_chosen_and_applied(tables):
  add('encoder')
  config = without_graph()
  config.model.encoder = 'linear'
  found = encoded(config, runs.small_world())
  widths = config.model.image_widths[-1] + config.model.text_widths[-1]
  assert found['content'].shape == (1, widths)


def test_a_method_is_a_row_of_the_table(tables):
  names = add('method')
  config = config_lib.get_config('smoke')
  known = registry.table({'': config, 'paper': config, 'release': config})
  dataset = runs.small_world()
  chosen, _ = registry.choose(known, ['topics'], dataset)
  assert [m.name for m in chosen] == ['topics alone']
  task = interface.Task(
    dataset=dataset,
    train=splits.select(dataset, 'train'),
    test=splits.select(dataset, 'test'),
    seed=0,
  )
  score_BxM = chosen[0].score(task)
  assert score_BxM.shape == (9, len(task.test.candidate_row_M))
  bare = dataclasses.replace(dataset, features={})
  assert names['unavailable'](bare) == 'the data has no content_text'


def test_an_importer_writes_a_raw_folder(tables, tmp_path):
  with pytest.raises(errors.UserError, match='no such importer; there are ap'):
    importers.reader('spreadsheet')
  add('importer')
  source = tmp_path / 'posts.csv'
  source.write_text(
    'account,id,time,text,paid_by\n'
    'ann,1,2026-01-02T03:04:05,a new shoe,acme\n'
    'acme,2,2026-01-03T03:04:05,our shoe,\n'
  )
  summary = importing.write(
    importers.reader('spreadsheet')(source, None),
    tmp_path / 'raw',
    importing.Tables(),
  )
  assert summary.posts == 2
  accounts = (tmp_path / 'raw' / 'accounts.csv').read_text()
  assert '"acme","brand"' in accounts and '"ann","influencer"' in accounts
  assert 'a new shoe' in (tmp_path / 'raw' / 'posts.jsonl').read_text()


def test_an_image_encoder_is_loaded_by_its_name(tables):
  add('image-encoder')
  options = dataclasses.replace(image_options.ImageOptions(), encoder='colours')
  encoder = encoders.load(options)
  pixels = np.zeros((2, 1, 32, 32, 3), np.uint8)
  pixels[0, ..., 0] = 200  # red alone
  pixels[1, ..., 1:] = 100  # green and blue alike
  np.testing.assert_allclose(
    encoder.apply(encoder.params, pixels), [[1, 0, 0], [0, 0.5, 0.5]]
  )


@pytest.mark.parametrize('page', PAGES)
def test_nothing_is_added_twice(page, tables):
  add(page)
  with pytest.raises(ValueError, match='already'):
    add(page)


@pytest.mark.parametrize(
  ('call', 'said'),
  [
    (lambda: perspectives.add_perspective('Größe', {}), 'is no name'),
    (lambda: perspectives.add_perspective('price', {}), 'has no features'),
    (
      lambda: perspectives.add_perspective('price', {'smell': 'x'}),
      'is no modality',
    ),
    (
      lambda: perspectives.add_perspective('price', {'text': 'content_text'}),
      'a feature .content_text. already',
    ),
    (
      lambda: perspectives.add_perspective(
        'price', {'text': 'a', 'image': 'a'}
      ),
      'a feature .a. already',
    ),
    (
      lambda: perspectives.add_perspective(
        'price', {'text': 'a'}, topics=('b',)
      ),
      'none of the new features',
    ),
    (
      lambda: perspectives.add_modality('sound', {'smell': 'x'}),
      'is no perspective',
    ),
    (
      lambda: perspectives.add_modality(
        'sound', {'content': 'x'}, transform='loud'
      ),
      'is none of',
    ),
  ],
)
def test_what_can_not_be_added_changes_nothing(call, said, tables):
  before = {k: dict(v) for k, v in accounts_lib.PERSPECTIVES.items()}
  with pytest.raises(ValueError, match=said):
    call()
  assert before == accounts_lib.PERSPECTIVES
  assert set(perspectives.MODALITIES) == {'image', 'text', 'embedding'}


def launch(*args: str, module: str = 'train') -> subprocess.CompletedProcess:
  return subprocess.run(
    runs.command(*args, module=module),
    cwd=pages.ROOT,
    env=runs.environment(),
    capture_output=True,
    text=True,
    timeout=runs.PATIENCE,
    check=False,
  )


@pytest.mark.slow
def test_commands_and_their_workers_load_what_is_named(tmp_path, monkeypatch):
  for page in TRAINING:
    (tmp_path / f'my_{page}.py').write_text(code_of(page))
  dataset = world_with('product_image', 8)
  sound = world_with('content_sound', 16).features['content_sound']
  features = {**dataset.features, 'content_sound': sound}
  runs.write_bundle(tmp_path / 'b')
  for name in ('product_image', 'content_sound'):
    np.save(tmp_path / 'b' / f'{name}.npy', features[name])
  # A forked process would not look into PYTHONPATH again.
  monkeypatch.setenv(
    'PYTHONPATH', os.pathsep.join((str(tmp_path), str(pages.ROOT)))
  )
  monkeypatch.setenv(plugins.VARIABLE, ','.join(f'my_{p}' for p in TRAINING))
  done = launch(
    '--config=configs/morning.py:smoke',
    f'--config.data.bundle={tmp_path / "b"}',
    f'--workdir={tmp_path / "run"}',
    '--config.model.perspectives=content,product',
    '--config.model.modalities=image,text,sound',
    '--config.model.encoder=linear',
    '--config.loss.kind=margin',
    '--config.train.epochs=1',
  )
  assert done.returncode == 0, done.stderr
  assert 'product/image' in done.stdout
  assert 'content/sound' in done.stdout
  compared = launch(
    f'--bundle={tmp_path / "b"}',
    '--methods=random,topics',
    '--folds=2',
    '--seeds=1',
    '--jobs=1',
    f'--workdir={tmp_path / "comparison"}',
    module='compare',
  )
  assert compared.returncode == 0, compared.stderr
  assert 'topics alone' in compared.stdout


def test_a_module_that_is_not_there_is_one_line(monkeypatch):
  monkeypatch.setenv(plugins.VARIABLE, 'no_such_module_of_mine')
  with pytest.raises(errors.UserError, match='no_such_module_of_mine') as e:
    plugins.load()
  assert '\n' not in str(e.value)


def test_modules_are_imported_once_and_may_fail(tmp_path, monkeypatch):
  (tmp_path / 'counted_plugin.py').write_text(
    "import os\nos.environ['COUNTED'] += 'x'\n"
  )
  (tmp_path / 'failing_plugin.py').write_text('1 / 0\n')
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setenv('COUNTED', '')
  monkeypatch.setenv(plugins.VARIABLE, ' counted_plugin, ,')
  plugins.load()
  plugins.load()
  assert sys.modules['counted_plugin'].os.environ['COUNTED'] == 'x'
  monkeypatch.setenv(plugins.VARIABLE, 'failing_plugin')
  with pytest.raises(errors.UserError, match='ZeroDivisionError'):
    plugins.load()
