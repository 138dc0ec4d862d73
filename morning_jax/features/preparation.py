"""From a raw folder to the data set of a bundle, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import importlib.metadata
import pathlib
from typing import Any

import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import files
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features import texts
from morning_jax.features import training
from morning_jax.features.attributes import fitted as attributes_lib
from morning_jax.features.raw import blocks
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.raw import profiles as profiles_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.features.stages import store
from morning_jax.features.steps import pictures as pictures_lib
from morning_jax.features.steps import posts as posts_lib
from morning_jax.features.steps import words as words_lib

_VERSION = 1  # of what stored results mean
_LIBRARIES = (
  'HanTa',
  'py3langid',
  'simplemma',
  'stopwordsiso',
  'wordninja',
  'pillow',
  'jax',
  'numpy',
)


@dataclasses.dataclass(frozen=True)
class Report:
  """What a person should see of a preparation, beside the bundle.

  Attributes:
    left_over: words of biographies that the is-a table lacks.
    unreadable: (perspective, post, picture, reason) of pictures.
    counts: what was counted, by name.
  """

  left_over: list[attributes_lib.LeftOver]
  unreadable: list[tuple[str, str, str, str]]
  counts: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A raw folder, prepared.

  Attributes:
    dataset: what the bundle holds; `notes` say what a person should know.
    fitted: what was learned, or taken.
    report: for people.
  """

  dataset: accounts_lib.Dataset
  fitted: fitted_lib.Fitted
  report: Report


def prepare(
  raw: folder_lib.RawFolder,
  options: options_lib.Options,
  *,
  work: pathlib.Path,
  runner: runner_lib.Runner,
  sizes: options_lib.Sizes,
  report: pathlib.Path,
  fitted: fitted_lib.Fitted | None = None,
) -> Prepared:
  """Prepares a raw folder.

  The result follows from the raw folder and the options: not from the runner,
  the sizes, or how often the work was interrupted.

  Args:
    raw: the folder, its tables checked.
    options: what to compute; where `fitted` is given, the choices that features
      depend on come from there.
    work: folder for stored results of shards; what is there is taken.
    runner: who does shards.
    sizes: how the work is cut up.
    report: folder for why so many topics were chosen, where they are.
    fitted: what an earlier preparation learned, to be taken instead of learning
      from these accounts.

  Returns:
    The data set, what was learned, and a report.

  Raises:
    UserError: something is wrong with the folder or the options.
    OSError: a result can't be stored.
  """
  if fitted is not None:
    options = dataclasses.replace(
      options,
      posts=fitted.posts,
      text=fitted.text,
      images=_images(options, fitted),
    )
  image_digest = _check(options, fitted)
  steps = _Steps(raw, options, work, runner, sizes)
  notes = list(raw.notes)
  merged, sponsors, counts = steps.posts(notes)
  positives_Px2 = training.positives_of(raw, sponsors, notes)
  trains_A = training.training_rows(raw.accounts, positives_Px2)
  if fitted is None:
    training.check(trains_A, raw)
  audience = steps.audience(merged, trains_A, counts, notes)
  documents = steps.documents(merged, audience)
  features: dict[str, np.ndarray] = {}
  names: dict[str, tuple[str, ...]] = {}
  models: dict[str, pathlib.Path] = {}
  for perspective in words_lib.PERSPECTIVES:
    found = texts.topics_of(
      documents, perspective, options.topics, runner, fitted, report
    )
    if found is not None:
      features[f'{perspective}_text'] = found.values
      names[f'{perspective}_text'] = found.names
      models[perspective] = found.model
  attributes, words, left_over = steps.attributes(trains_A, fitted)
  unreadable: list[tuple[str, str, str, str]] = []
  if options.images is not None:
    for perspective in words_lib.PERSPECTIVES:
      values = steps.pictures(
        merged, audience, perspective, image_digest, counts, unreadable
      )
      features[f'{perspective}_image'] = values
      encoder = pictures_lib.encoder(options.images)
      names[f'{perspective}_image'] = encoder.class_names
  kept = {
    f: np.ascontiguousarray(features[f][raw.profiles.profile_A])
    for f in accounts_lib.FEATURES
    if f in features
  }
  kept = _present(kept, raw.accounts, notes)
  dataset = accounts_lib.Dataset(
    name=str(raw.path),
    accounts=raw.accounts,
    features=kept,
    positives_Px2=positives_Px2,
    attributes=attributes,
    feature_names={f: names[f] for f in kept},
    notes=tuple(notes),
  )
  return Prepared(
    dataset=dataset,
    fitted=fitted
    or fitted_lib.Fitted(
      posts=options.posts,
      text=options.text,
      images=options.images,
      image_digest=image_digest,
      topics=models,
      attributes=words,
    ),
    report=Report(left_over, unreadable, counts),
  )


def _images(options: options_lib.Options, fitted: fitted_lib.Fitted) -> Any:
  """Returns the earlier choices, with what this machine has of them."""
  if fitted.images is None or options.images is None:
    return None
  return dataclasses.replace(
    fitted.images,
    weights=options.images.weights,
    download=options.images.download,
    threads=options.images.threads,
  )


def _check(
  options: options_lib.Options, fitted: fitted_lib.Fitted | None
) -> str:
  """Checks before long work what else would fail after it.

  Returns:
    The digest of the image encoder; '' without one.
  """
  words_lib.tokenizer(options.text)
  if fitted is None:
    attributes_lib.check(options.attributes)
  if options.images is None:
    return ''
  digest = pictures_lib.encoder(options.images).digest
  if fitted is not None and digest != fitted.image_digest:
    raise fitted_lib.FittedError(
      f'image encoder {options.images.encoder} has other weights than those of'
      ' the earlier preparation, so its features would not be comparable'
    )
  return digest


def _versions() -> list[str]:
  """Returns the versions of libraries that results depend on."""
  found = []
  for name in _LIBRARIES:
    try:
      found.append(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
      found.append('')  # what needs it says so
  return found


def _present(
  features: Mapping[str, np.ndarray],
  accounts: accounts_lib.Accounts,
  notes: list[str],
) -> dict[str, np.ndarray]:
  """Leaves out features that nobody has, and notes how many lack the others."""
  kept = {}
  for feature, values_AxF in features.items():
    lacking = int(np.isnan(values_AxF).any(axis=1).sum())
    if lacking == len(accounts):
      notes.append(f'{feature}: no account has it; it is left out')
      continue
    kept[feature] = values_AxF
    if lacking:
      notes.append(
        f'{feature}: {lacking:,} of {len(accounts):,} accounts lack it'
      )
  return kept


@dataclasses.dataclass(frozen=True)
class _Steps:
  """The stages of a preparation, each with what it depends on."""

  raw: folder_lib.RawFolder
  options: options_lib.Options
  work: pathlib.Path
  runner: runner_lib.Runner
  sizes: options_lib.Sizes

  def _key(self, stage: str, *parts: Any) -> str:
    return files.digest(_VERSION, stage, _versions(), *parts)

  def posts(
    self, notes: list[str]
  ) -> tuple[posts_lib.MergePosts, list[tuple[int, str]], dict[str, int]]:
    """Reads the posts; returns where they are, sponsors, and counts."""
    posts = self.options.posts
    profiles = self.raw.profiles
    key = self._key(
      'posts',
      self.raw.digest,
      dataclasses.asdict(self.sizes),
      [posts.content, posts.of_follower, self.options.skip_bad],
    )
    place = self.work / 'profiles' / f'{key[:24]}.npz'
    store.write(
      place,
      {'names': list(profiles.names), 'num_accounts': profiles.num_accounts},
    )
    who = posts_lib.Who(
      place, self.sizes.profiles, posts.content, posts.of_follower
    )
    read = posts_lib.ReadPosts(
      work=self.work,
      key=key,
      shards=blocks.count(self.raw.posts, block_bytes=self.sizes.block_bytes),
      posts=self.raw.posts,
      who=who,
      block_bytes=self.sizes.block_bytes,
      skip_bad=self.options.skip_bad,
    )
    runner_lib.complete(read, self.runner)
    merged = posts_lib.MergePosts(
      work=self.work, key=key, shards=who.num_shards(), read=read
    )
    runner_lib.complete(merged, self.runner)
    sponsors: set[tuple[int, str]] = set()
    skipped, duplicates, first, unread = 0, 0, '', set()
    for block in range(read.shards):
      with read.open(block) as stored:
        sponsors.update(map(tuple, stored['sponsors']))
        skipped += stored['skipped']
        first = first or stored['first_skipped']
        unread.update(stored['unread'])
        duplicates += stored['duplicates']
    for shard in range(merged.shards):
      with merged.open(shard) as stored:
        duplicates += stored['duplicates']
    if skipped:
      notes.append(f'{skipped:,} posts are skipped, the first: {first}')
    if duplicates:
      notes.append(f'{duplicates:,} posts that were there twice are merged')
    if unread:
      shown = ', '.join(sorted(unread)[:8])
      notes.append(f'keys of posts that nothing reads: {shown}')
    return merged, sorted(sponsors), {'posts skipped': skipped}

  def audience(
    self,
    merged: posts_lib.MergePosts,
    trains_A: np.ndarray,
    counts: dict[str, int],
    notes: list[str],
  ) -> words_lib.Audience:
    """Chooses each account's audience and who may shape topics."""
    raw, profiles = self.raw, self.raw.profiles
    parts = []
    for shard in range(merged.shards):
      with merged.open(shard) as stored:
        parts.append(stored['count'])
    num_posts = np.concatenate(parts)
    start, follower = profiles_lib.active(
      profiles, num_posts, self.options.posts.followers
    )
    trains = training.training_profiles(raw.accounts, profiles, trains_A)
    keeps_out = np.zeros(len(profiles), bool)
    keeps_out[: profiles.num_accounts] = ~trains
    silent = int((num_posts[profiles.profile_A] == 0).sum())
    alone = int((np.diff(start)[profiles.profile_A] == 0).sum())
    if silent:
      notes.append(f'{silent:,} of {len(raw.accounts):,} accounts have no post')
    if alone:
      notes.append(
        f'{alone:,} of {len(raw.accounts):,} accounts have no follower with a'
        ' post: they lack audience features'
      )
    counts['posts'] = int(num_posts.sum())
    counts['followers'] = len(np.unique(follower))
    values = {
      'start': start,
      'follower': follower,
      'trains': trains,
      'keeps_out': keeps_out,
    }
    key = self._key('audience', merged.key, *values.values())
    place = self.work / 'audience' / f'{key[:24]}.npz'
    store.write(place, values)
    return words_lib.Audience(place)

  def documents(
    self, merged: posts_lib.MergePosts, audience: words_lib.Audience
  ) -> words_lib.Documents:
    """Turns captions into documents."""
    words = words_lib.Words(
      work=self.work,
      key=self._key('words', merged.key, dataclasses.asdict(self.options.text)),
      shards=merged.shards,
      merged=merged,
      options=self.options.text,
    )
    runner_lib.complete(words, self.runner)
    documents = words_lib.Documents(
      work=self.work,
      key=self._key('documents', words.key, audience.path.name),
      shards=merged.read.who.num_shards(accounts=True),
      words=words,
      audience=audience,
    )
    runner_lib.complete(documents, self.runner)
    return documents

  def attributes(
    self, trains_A: np.ndarray, fitted: fitted_lib.Fitted | None
  ) -> tuple[
    accounts_lib.Attributes | None,
    attributes_lib.AttributeWords | None,
    list[attributes_lib.LeftOver],
  ]:
    """Chooses attributes, or takes those chosen before; gives them out."""
    biographies = self.raw.accounts.biographies
    if biographies is None or (fitted and fitted.attributes is None):
      return None, None, []
    nouns_A = texts.nouns_of(
      biographies.tolist(), self.work, self.options, self.sizes, self.runner
    )
    left_over: list[attributes_lib.LeftOver] = []
    words = fitted.attributes if fitted else None
    if words is None:
      words, left_over = attributes_lib.fit(
        (nouns_A[row] for row in np.flatnonzero(trains_A)),
        self.options.attributes,
      )
    held = words.held(nouns_A)
    if not len(held.names_V):
      return None, None, left_over
    return held, words, left_over

  def pictures(
    self,
    merged: posts_lib.MergePosts,
    audience: words_lib.Audience,
    perspective: str,
    image_digest: str,
    counts: dict[str, int],
    unreadable: list[tuple[str, str, str, str]],
  ) -> np.ndarray:
    """Encodes the pictures of a perspective."""
    images = self.options.images
    assert images is not None
    task = pictures_lib.Pictures(
      work=self.work,
      key=self._key(
        'pictures',
        merged.key,
        audience.path.name,
        image_digest,
        perspective,
        [images.batch_size, images.threshold, images.same_bits],
      ),
      shards=merged.read.who.num_shards(accounts=True),
      merged=merged,
      audience=audience,
      perspective=perspective,
      root=self.raw.path,
      options=images,
    )
    runner_lib.complete(task, self.runner)
    parts = []
    for shard in range(task.shards):
      with task.open(shard) as stored:
        parts.append(stored['values'])
        for name in ('pictures', 'reposted'):
          label = f'{name} of {perspective}'
          counts[label] = counts.get(label, 0) + stored[name]
        unreadable.extend(
          (perspective, post_id, picture, reason)
          for post_id, picture, reason in stored['unreadable']
        )
    return np.concatenate(parts)
