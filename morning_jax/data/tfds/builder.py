"""TFDS builder `brand_micro_influencer`: data sets as ArrayRecord files.

Three configurations: `synthetic` (the embedded world of the published sizes),
`synthetic_small` (seconds), `bundle` (a bundle folder in the manual directory).
One record an account, in the splits `train`, `valid` and `test` (brands),
`set_aside` (brands without a split) and `influencer`; a split without accounts
is absent. A brand's record lists its positives. What belongs to no account
(attribute names, the stored graph, notes) is the metadata of the DatasetInfo.

`loader.load` reads all of it back as the very `Dataset` that was written.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import json
import os
import pathlib
from typing import Any, cast

from absl import logging
import numpy as np
import tensorflow_datasets as tfds

from morning_jax.core import accounts as accounts_lib
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib
from morning_jax.data.tfds import sources

NAME = 'brand_micro_influencer'
SET_ASIDE = 'set_aside'
_INFLUENCER = 'influencer'
_FORMAT = 'array_record'
_METADATA = 'metadata.json'
_TABLES = 'attributes.npz'
_NOTHING = np.zeros(0, np.float32)


class _Metadata(tfds.core.Metadata):
  """What belongs to no account: plain values as JSON, arrays as NumPy's.

  `values` holds the JSON part, `arrays` the fields of `Attributes` that are
  not per account.
  """

  def __init__(self) -> None:
    super().__init__()
    self.arrays: dict[str, np.ndarray] = {}

  def save_metadata(self, data_dir: os.PathLike[str]) -> None:
    folder = pathlib.Path(data_dir)
    (folder / _METADATA).write_text(json.dumps(self), encoding='utf-8')
    if self.arrays:
      np.savez(folder / _TABLES, allow_pickle=False, **self.arrays)

  def load_metadata(self, data_dir: os.PathLike[str]) -> None:
    folder = pathlib.Path(data_dir)
    self.clear()
    self.update(json.loads((folder / _METADATA).read_text(encoding='utf-8')))
    self.arrays = {}
    if self['attributes']:
      with np.load(folder / _TABLES, allow_pickle=False) as arrays:
        self.arrays = {name: arrays[name] for name in arrays.files}


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
  """A configuration of the builder.

  Attributes:
    world: what to generate; None reads a bundle from the manual directory.
  """

  world: world_options.World | None = None

  def feature_size(self, feature: str) -> int | None:
    """Returns a feature's size; None where only the bundle knows it."""
    if self.world is None:
      return None
    w = self.world
    image = w.objects + w.scenes
    interests = w.content_interests + w.audience_interests
    return {
      'content_image': image,
      'content_text': w.content_topics,
      'audience_image': image,
      'audience_text': w.audience_topics,
      'attribute_embedding': w.attribute_embedding,
      'planted': interests + w.attribute_interests,
    }[feature]


_FEATURE_DOCS = {
  'content_image': 'Objects ++ scenes of the posts; each part sums to 1.',
  'content_text': 'Topic distribution of the captions.',
  'audience_image': "Objects ++ scenes of the audience's posts.",
  'audience_text': "Topic distribution of the audience's captions.",
  'attribute_embedding': 'Account-level attribute embedding.',
  'planted': (
    'Interests of a synthetic world; inner products are the planted'
    ' preference. Never an input.'
  ),
}


def _array(size: int | None, dtype: type, doc: str) -> tfds.features.Tensor:
  return tfds.features.Tensor(
    shape=(size,), dtype=dtype, encoding='bytes', doc=doc
  )


class BrandMicroInfluencer(tfds.core.GeneratorBasedBuilder):
  """Brands, micro-influencers, and who advertised for whom."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First version.'}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    'Configuration `bundle` only: manual_dir is a bundle (a folder with'
    ' accounts.csv and interactions.csv), or a folder with one bundle in it.'
  )
  BUILDER_CONFIGS = [  # noqa: RUF012
    Config(
      name='synthetic',
      description='The embedded world, of the size of the published data.',
      world=world_options.World(),
    ),
    Config(
      name='synthetic_small',
      description='An embedded world for tests and first looks.',
      world=world_options.small(),
    ),
    Config(name='bundle', description='A bundle in the manual directory.'),
  ]
  builder_config: Config

  def __init__(self, *, file_format: Any = None, **kwargs: Any) -> None:
    # TFDS's own default needs TensorFlow.
    super().__init__(file_format=file_format or _FORMAT, **kwargs)
    self._dataset: accounts_lib.Dataset | None = None

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.feature_size
    text = tfds.features.Text
    whole = tfds.features.Scalar
    features: dict[str, Any] = {
      'row': whole(np.int64, doc='Row of the account in the whole table.'),
      'account_id': text(doc='Account name; unique per role.'),
      'role': tfds.features.ClassLabel(
        names=accounts_lib.ROLES, doc='What the account is.'
      ),
      'category': text(doc="The brand's category; empty where unknown."),
      'found_under_category': text(
        doc='Where an influencer was found. Evaluation only.'
      ),
      'followers': whole(np.int64, doc='-1 where unknown.'),
      'biography': text(doc='Empty where unknown.'),
      'attributes': _array(
        None, np.int64, "The account's attributes: indices, ascending."
      ),
      'positives': _array(
        None, np.int64, 'Of a brand: rows of influencers who worked for it.'
      ),
      'positive_positions': _array(
        None, np.int64, "Where each stands in the data set's list of pairs."
      ),
    }
    absent = ' NaN where the account lacks it; empty where the data set does.'
    for name, doc in _FEATURE_DOCS.items():
      features[name] = _array(size(name), np.float32, doc + absent)
    return tfds.core.DatasetInfo(
      builder=self,
      description=(
        'Brands, micro-influencers (5k-100k followers) and the advertisements'
        ' that tie them, with features of what the accounts post, of their'
        ' audience and of their attributes. Splits hold brands; the influencers'
        f' are the split `{_INFLUENCER}`.'
      ),
      features=tfds.features.FeaturesDict(features),
      metadata=_Metadata(),
      disable_shuffling=True,
    )

  def fingerprint(self, folder: pathlib.Path | None) -> str:
    """Returns a digest of what would be prepared now.

    Args:
      folder: the bundle, for configuration `bundle`.
    """
    if self.builder_config.world is not None:
      return sources.fingerprint_world(self.builder_config.world)
    assert folder is not None
    return sources.fingerprint_folder(folder)

  def download_and_prepare(self, **kwargs: Any) -> None:
    """Prepares the data set, anew if the prepared copy is out of date.

    Args:
      **kwargs: as of the base class; `download_config.manual_dir` is the manual
        directory of configuration `bundle`.

    Raises:
      UserError: there is no bundle, or something is wrong with it; a prepared
        copy, if any, is untouched.
    """
    config = (
      kwargs.pop('download_config', None) or tfds.download.DownloadConfig()
    )
    world = self.builder_config.world
    manual = config.manual_dir
    prepared = self.info.splits if self.data_path.exists() else None
    folder = None
    if world is None and manual is None and prepared:
      logging.warning(
        '%s: no manual_dir to compare with; taken as prepared.', self.data_dir
      )
      return super().download_and_prepare(download_config=config, **kwargs)
    if world is None:
      if manual is None:
        root = pathlib.Path(self._data_dir_root)
        downloads = kwargs.get('download_dir') or root / 'downloads'
        manual = pathlib.Path(downloads) / 'manual'
      folder = sources.find_bundle(manual)
    fingerprint = self.fingerprint(folder)
    if prepared and self.info.metadata.get('fingerprint') != fingerprint:
      config = dataclasses.replace(
        config,
        download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS,
      )
      logging.info('%s is out of date and is prepared anew.', self.data_dir)
      prepared = None
    if not prepared or config.download_mode.overwrite_dataset:
      # Before TFDS removes or makes any folder.
      self._dataset = (
        bundle_lib.read_bundle(cast(pathlib.Path, folder))
        if world is None
        else world_lib.generate(world)
      )
      self.info.metadata.clear()
      self.info.metadata['fingerprint'] = fingerprint
    try:
      super().download_and_prepare(download_config=config, **kwargs)
    finally:
      self._dataset = None

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
    del dl_manager
    dataset = self._dataset
    assert dataset is not None
    a, s = dataset.accounts, dataset.attributes
    metadata = self.info.metadata
    metadata.update(
      name=dataset.name,
      notes=list(dataset.notes),
      num_accounts=len(a),
      feature_sizes=dataset.feature_sizes,
      planted_size=None
      if dataset.planted is None
      else int(dataset.planted.shape[1]),
      columns=[
        name
        for name in ('found_under', 'followers', 'biographies')
        if getattr(a, name) is not None
      ],
      attributes=s is not None,
    )
    metadata.arrays = {}
    if s is not None:
      stored = {
        'names_V': s.names_V,
        'ids_V': s.ids_V,
        'edges_Ex2': s.edges_Ex2,
        'weight_E': s.weight_E,
      }
      metadata.arrays = {k: v for k, v in stored.items() if v is not None}
    is_brand = a.roles == accounts_lib.BRAND
    rows_of = {
      split: np.flatnonzero(is_brand & (a.splits == split))
      for split in accounts_lib.SPLITS
    }
    rows_of[SET_ASIDE] = np.flatnonzero(is_brand & (a.splits == ''))
    rows_of[_INFLUENCER] = np.flatnonzero(~is_brand)
    return {
      split: self._generate_examples(dataset, rows)
      for split, rows in rows_of.items()
      if len(rows)
    }

  def _generate_examples(
    self, dataset: accounts_lib.Dataset, rows: np.ndarray
  ) -> Iterator[tuple[int, dict[str, Any]]]:
    a, s = dataset.accounts, dataset.attributes
    num = len(a)
    order = np.argsort(dataset.positives_Px2[:, 0], kind='stable')
    employee = dataset.positives_Px2[order, 1]
    of_brand = _starts(dataset.positives_Px2[order, 0], num)
    if s is not None:
      of_holder = _starts(s.holder, num)
    arrays = dict(dataset.features)
    if dataset.planted is not None:
      arrays['planted'] = dataset.planted
    for row in rows.tolist():
      pairs = slice(of_brand[row], of_brand[row + 1])
      example = {
        'row': row,
        'account_id': str(a.ids[row]),
        'role': int(a.roles[row]),
        'category': str(a.categories[row]),
        'found_under_category': ''
        if a.found_under is None
        else str(a.found_under[row]),
        'followers': -1 if a.followers is None else int(a.followers[row]),
        'biography': '' if a.biographies is None else str(a.biographies[row]),
        'attributes': np.zeros(0, np.int64)
        if s is None
        else s.held[of_holder[row] : of_holder[row + 1]],
        'positives': employee[pairs],
        'positive_positions': order[pairs],
      }
      for name in _FEATURE_DOCS:
        example[name] = arrays[name][row] if name in arrays else _NOTHING
      yield row, example


def _starts(sorted_rows: np.ndarray, num: int) -> np.ndarray:
  """Returns where each row's stretch begins in a sorted array: [num + 1]."""
  return np.searchsorted(sorted_rows, np.arange(num + 1))
