"""What `launch.prepare` does once its flags are known.

Apart from the flags, as it needs what `pip install 'morning_jax[prepare]'`
brings.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib
import shlex

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.data.synthetic import options as world_options
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import options as options_lib
from morning_jax.features import output
from morning_jax.features import preparation
from morning_jax.features import work as work_lib
from morning_jax.features.embedded import writing as embedded
from morning_jax.features.importers import registry as importers
from morning_jax.features.importers import writing as importing
from morning_jax.features.raw import folder as folder_lib
from morning_jax.features.stages import beam as beam_lib
from morning_jax.features.stages import runner as runner_lib
from morning_jax.reporting import console


@dataclasses.dataclass(frozen=True)
class Places:
  """The folders of a preparation.

  Attributes:
    raw: the raw folder.
    bundle: to write; or None.
    brand_files: to write instead; or None.
    fitted: what an earlier preparation learned; or None.
    work: of results of shards; None: beside what is written, for a while.
    report: for people; None: beside what is written.
    records: whether the bundle's features become ArrayRecord files.
  """

  raw: str
  bundle: str | None
  brand_files: str | None
  fitted: str | None
  work: str | None
  report: str | None
  records: bool = False

  @property
  def target(self) -> str:
    """What is written."""
    return (self.bundle or self.brand_files or '').rstrip('/')


def check_new(flag: str, folder: str) -> None:
  """Checks that a folder can be made, in the words of its flag.

  Raises:
    UserError: something is there.
  """
  try:
    bundle_lib.check_new(folder)
  except errors.UserError as e:
    raise errors.UserError(f'--{flag}={e}') from None


def write_embedded(raw: str, *, full: bool) -> None:
  """Writes the embedded world as a raw folder."""
  check_new('raw', raw)
  world = world_options.World() if full else world_options.small()
  dataset = embedded.write(world, raw, embedded.PostOptions())
  console.say(
    f'{raw}: written, the posts of {len(dataset.accounts):,} accounts and their'
    ' followers'
  )
  console.say('next:')
  console.say(
    f'  python -m launch.prepare --raw={shlex.quote(raw)} --bundle=my_bundle'
    f' --image_encoder={embedded.encoder_of(world)}'
    f' --topics={world.content_topics}'
    f' --audience_topics={world.audience_topics}'
  )


def import_folder(
  kind: str,
  source: str,
  raw: str,
  tables: importing.Tables,
  *,
  pictures: str | None,
  skip_bad: bool,
) -> None:
  """Writes a raw folder from what another program saved."""
  check_new('raw', raw)
  for field in dataclasses.fields(tables):
    place = getattr(tables, field.name)
    if place is not None and not place.is_file():
      raise errors.UserError(f'--{field.name}_table={place}: is no file')
  if not pathlib.Path(source).exists():
    raise errors.UserError(f'--source={source}: is not there')
  done = importing.write(
    importers.reader(kind)(
      pathlib.Path(source), pathlib.Path(pictures) if pictures else None
    ),
    raw,
    tables,
    skip_bad=skip_bad,
  )
  console.say(
    f'{raw}: written, {done.posts:,} posts with {done.pictures:,} pictures'
  )
  for count, text in (
    (done.missing, 'pictures of posts are no files'),
    (done.left_out, 'posts are of profiles that are in no table'),
    (done.bad, f'posts are skipped, the first: {done.first_bad}'),
  ):
    if count:
      console.note(f'{count:,} {text}')
  console.say('next: see to accounts.csv, its splits above all, then')
  console.say(
    f'  python -m launch.prepare --raw={shlex.quote(raw)} --bundle=my_bundle'
    ' --weights=weights --download'
  )


def runner_of(
  beam: str | None, arguments: Sequence[str], workers: int | None
) -> runner_lib.Runner:
  """Returns who does shards: this machine, or a runner of Beam."""
  if beam is None:
    if arguments:
      raise errors.UserError('--beam: is of --runner, which is not given')
    return runner_lib.LocalRunner(workers or runner_lib.cores())
  beam_lib.check(beam)
  return beam_lib.BeamRunner(beam, tuple(arguments))


def prepare(
  places: Places,
  options: options_lib.Options,
  runner: runner_lib.Runner,
  sizes: options_lib.Sizes,
) -> None:
  """Prepares a raw folder and says what became of it."""
  fitted = None
  if places.fitted:
    fitted = fitted_lib.load(pathlib.Path(places.fitted))
  check_new('bundle' if places.bundle else 'brand_files', places.target)
  raw = folder_lib.open_folder(places.raw, complete=bool(places.bundle))
  work = pathlib.Path(places.work or f'{places.target}.work')
  report = pathlib.Path(places.report or f'{places.target}.report')
  with work_lib.opened(work):
    prepared = preparation.prepare(
      raw,
      options,
      work=work,
      runner=runner,
      sizes=sizes,
      report=report,
      fitted=fitted,
    )
    console.notes(prepared.dataset.notes)
    if places.bundle:
      output.write_bundle(prepared, places.bundle, records=places.records)
      console.say(f'{places.bundle}: written')
      _say_what_is_in_it(prepared.dataset)
      following = (
        '  python -m launch.train --config=configs/morning.py'
        f' --config.data.bundle={shlex.quote(places.bundle)}'
      )
    else:
      written = output.write_brand_files(prepared, places.target)
      console.say(f'{places.target}: {len(written):,} brands written')
      following = (
        '  python -m launch.recommend --workdir=...'
        f' --brand_file={shlex.quote(str(written[0]))}'
      )
    output.write_report(prepared.report, report)
  if not places.work:
    work_lib.remove(work)
  console.say(
    f'  {report}: {len(prepared.report.left_over):,} words that no table has,'
    f' {len(prepared.report.unreadable):,} pictures that could not be read'
  )
  console.say(f'next:\n{following}')


def _say_what_is_in_it(dataset: accounts_lib.Dataset) -> None:
  a, pairs = dataset.accounts, dataset.positives_Px2
  for split in accounts_lib.SPLITS:
    brands = int((a.splits == split).sum())
    if brands:
      mine = int((a.splits[pairs[:, 0]] == split).sum())
      console.say(f'  {split}: {brands:,} brands, {mine:,} positives')
  sizes = ', '.join(f'{f} {n}' for f, n in dataset.feature_sizes.items())
  console.say(f'  features: {sizes or "none"}')
  if dataset.attributes is not None:
    console.say(
      f'  attributes: {len(dataset.attributes.names_V):,}, held'
      f' {len(dataset.attributes.holder):,} times'
    )
