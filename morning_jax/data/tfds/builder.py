"""TFDS builder `brand_micro_influencer`: the embedded world as ArrayRecord.

Two configurations: `synthetic` (the published sizes) and `synthetic_small`
(for tests and first looks). A record is an account. The splits `train`,
`valid` and `test` hold brands, each with a list of its positives; `influencer`
holds the influencers. What belongs to no single account, such as the names of
the attributes, is the metadata of the DatasetInfo.

TFDS knows the builder once this module is imported; nothing else registers it.
`loader.load` reads all of it back as the very `Dataset` that was generated.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import json
import os
import pathlib
from typing import Any

from absl import logging
import numpy as np
import tensorflow_datasets as tfds

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import files
from morning_jax.data.synthetic import features as features_lib
from morning_jax.data.synthetic import names as names_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.data.synthetic import world as world_lib

NAME = 'brand_micro_influencer'
_INFLUENCER = 'influencer'
_FORMAT = 'array_record'
_METADATA = 'metadata.json'


class _Metadata(tfds.core.Metadata):
  """What belongs to no account, as JSON.

  TFDS's own `MetadataDict` is read lazily, and not at all by `get`.
  """

  def save_metadata(self, data_dir: os.PathLike[str]) -> None:
    files.write_json(pathlib.Path(data_dir) / _METADATA, self)

  def load_metadata(self, data_dir: os.PathLike[str]) -> None:
    self.clear()
    path = pathlib.Path(data_dir) / _METADATA
    self.update(json.loads(path.read_text(encoding='utf-8')))


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
  """A configuration of the builder.

  Attributes:
    world: what to generate.
  """

  world: world_options.World = dataclasses.field(
    default_factory=world_options.World
  )

  @property
  def array_sizes(self) -> dict[str, int]:
    """The length of each array of an account, by name."""
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
    }

  @property
  def fingerprint(self) -> str:
    """A digest that changes with the world and with its generator's code."""
    modules = (world_lib, features_lib, names_lib, world_options)
    code = [pathlib.Path(str(m.__file__)) for m in modules]
    return files.digest(repr(self.world), *code)


_ARRAY_DOCS = {
  'content_image': 'Objects ++ scenes of the posts; each part sums to 1.',
  'content_text': 'Topic distribution of the captions.',
  'audience_image': "Objects ++ scenes of the audience's posts.",
  'audience_text': "Topic distribution of the audience's captions.",
  'attribute_embedding': 'Account-level attribute embedding.',
  'planted': (
    'Interests of the world; inner products are the planted preference. Never'
    ' an input.'
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
  BUILDER_CONFIGS = [  # noqa: RUF012
    Config(
      name='synthetic',
      description='The embedded world, of the size of the published data.',
    ),
    Config(
      name='synthetic_small',
      description='An embedded world for tests and first looks.',
      world=world_options.small(),
    ),
  ]
  builder_config: Config

  def __init__(self, *, file_format: Any = None, **kwargs: Any) -> None:
    # TFDS's own default needs TensorFlow.
    super().__init__(file_format=file_format or _FORMAT, **kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    text = tfds.features.Text
    scalar = tfds.features.Scalar
    features: dict[str, Any] = {
      'row': scalar(np.int64, doc='Row of the account in the whole table.'),
      'account_id': text(doc='Account name; unique per role.'),
      'role': tfds.features.ClassLabel(
        names=accounts_lib.ROLES, doc='What the account is.'
      ),
      'category': text(doc="The brand's category; empty for influencers."),
      'found_under_category': text(
        doc='Where an influencer was found. Evaluation only.'
      ),
      'followers': scalar(np.int64, doc='Number of followers.'),
      'biography': text(doc='How the account describes itself.'),
      'attributes': _array(
        None, np.int64, "The account's attributes: indices, ascending."
      ),
      'positives': _array(
        None, np.int64, 'Of a brand: rows of influencers who worked for it.'
      ),
      'positive_positions': _array(
        None, np.int64, "Position of each in the data set's list of pairs."
      ),
    }
    sizes = self.builder_config.array_sizes
    for name, doc in _ARRAY_DOCS.items():
      features[name] = _array(
        sizes[name], np.float32, f'{doc} NaN where the account lacks it.'
      )
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

  def is_current(self) -> bool:
    """Tells whether the prepared copy was made from the present world."""
    fingerprint = self.builder_config.fingerprint
    return self.info.metadata.get('fingerprint') == fingerprint

  def download_and_prepare(self, **kwargs: Any) -> None:
    """Prepares the data set, again if the prepared copy is out of date.

    Args:
      **kwargs: as of the base class.
    """
    config = (
      kwargs.pop('download_config', None) or tfds.download.DownloadConfig()
    )
    if self.data_path.exists() and not self.is_current():
      logging.info('%s is out of date and is prepared again.', self.data_dir)
      config = dataclasses.replace(
        config,
        download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS,
      )
    super().download_and_prepare(download_config=config, **kwargs)

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
    del dl_manager
    dataset = world_lib.generate(self.builder_config.world)
    a, s = dataset.accounts, dataset.attributes
    assert s is not None
    self.info.metadata.clear()
    self.info.metadata.update(
      fingerprint=self.builder_config.fingerprint,
      name=dataset.name,
      num_accounts=len(a),
      attribute_names=s.names_V.tolist(),
      attribute_ids=s.ids_V.tolist(),
      feature_names=dict(dataset.feature_names),
    )
    is_brand = a.roles == accounts_lib.BRAND
    rows_of = {
      split: np.flatnonzero(is_brand & (a.splits == split))
      for split in accounts_lib.SPLITS
    }
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
    # A world has all of it.
    assert s is not None
    assert a.found_under is not None
    assert a.followers is not None
    assert a.biographies is not None
    assert dataset.planted is not None
    arrays = {**dataset.features, 'planted': dataset.planted}
    order = np.argsort(dataset.positives_Px2[:, 0], kind='stable')
    brand_P, influencer_P = dataset.positives_Px2[order].T
    pairs_of = _starts(brand_P, len(a))
    attributes_of = _starts(s.holder, len(a))
    for row in rows.tolist():
      pairs = slice(pairs_of[row], pairs_of[row + 1])
      example = {
        'row': row,
        'account_id': str(a.ids[row]),
        'role': int(a.roles[row]),
        'category': str(a.categories[row]),
        'found_under_category': str(a.found_under[row]),
        'followers': int(a.followers[row]),
        'biography': str(a.biographies[row]),
        'attributes': s.held[attributes_of[row] : attributes_of[row + 1]],
        'positives': influencer_P[pairs],
        'positive_positions': order[pairs],
      }
      yield row, example | {name: arrays[name][row] for name in _ARRAY_DOCS}


def _starts(sorted_rows: np.ndarray, num: int) -> np.ndarray:
  """Returns where each row's entries begin in a sorted array: [num + 1]."""
  return np.searchsorted(sorted_rows, np.arange(num + 1))
