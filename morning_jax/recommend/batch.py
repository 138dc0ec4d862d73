"""The top k of every brand: a job over all devices that survives a kill.

The influencers are encoded once and stay on the devices. Brands are taken in
blocks; each is one product with all influencers, and a file on disk when it is
done (`batch_parts`). So the work is that of the products, and a job that was
stopped goes on with the block it was at, to the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
import datetime
import json
import os
from typing import Any, BinaryIO

import jax
from jax.sharding import Mesh
import numpy as np

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.core import multihost
from morning_jax.recommend import batch_parts
from morning_jax.recommend import batch_search
from morning_jax.recommend import catalogue as catalogue_lib
from morning_jax.recommend import confidence
from morning_jax.recommend import filters as filters_lib
from morning_jax.recommend import ordering
from morning_jax.recommend import spreadsheet
from morning_jax.reporting import console

FORMATS = ('csv', 'json', 'xlsx')
BLOCK_BRANDS = 512
_LAYOUT = 1  # of the rows; another number is another job


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a job did.

  Attributes:
    brands: of the catalogue.
    resumed: those that were done when it started.
    without: those for whom nobody is left.
    rows: that were written.
  """

  brands: int
  resumed: int
  without: int
  rows: int


def run(
  catalogue: catalogue_lib.Catalogue,
  path: str | os.PathLike[str],
  *,
  top_k: int,
  filters: filters_lib.Filters = filters_lib.NONE,
  kind: str = 'csv',
  block_brands: int = BLOCK_BRANDS,
  mesh: Mesh | None = None,
  quiet: bool = False,
) -> Outcome:
  """Writes the best influencers of every brand to a file.

  All processes call it alike; the first writes. Unfinished results are in
  `<path>.parts`, and the same call goes on from there.

  Args:
    catalogue: who there is.
    path: the file; one that is there is replaced in the end.
    top_k: how many for each brand.
    filters: who may be among them.
    kind: one of `FORMATS`.
    block_brands: brands of a product.
    mesh: the devices; those of the model if None.
    quiet: whether no progress is shown.

  Returns:
    What it did.

  Raises:
    UserError: a filter can't be applied or leaves nobody, more asked for than
      there are or than a sheet holds, or unfinished results of another job.
    OSError: something can't be written.
  """
  count = len(catalogue.brands)
  ordering.check_count(
    top_k, len(catalogue.influencers), accounts_lib.INFLUENCER
  )
  if kind == 'xlsx':
    spreadsheet.check_rows(count * top_k)
  search = batch_search.Search(
    catalogue, filters, mesh or catalogue.trained.mesh
  )
  if not search.passed.mask_M.any():
    raise errors.UserError(f'the filters leave nobody: {search.passed.tell()}')
  blocks = range(-(-count // block_brands))
  parts: batch_parts.Parts | None = None
  done: list[int] = []
  asked = _identity(catalogue, top_k, filters, block_brands)
  with multihost.raise_together():
    if multihost.is_first():
      now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
      parts = batch_parts.Parts(path, asked, now)
      done = [b for b in blocks if parts.read(b) is not None]
  done = json.loads(multihost.text_of_first(json.dumps(done)))

  def brands_of(block: int) -> range:
    return range(block * block_brands, min((block + 1) * block_brands, count))

  resumed = sum(len(brands_of(b)) for b in done)
  writer = _Rows(catalogue)
  with console.Progress(
    total=count,
    unit='brands',
    title='ranking',
    initial=resumed,
    quiet=quiet,
  ) as progress:
    for block in (b for b in blocks if b not in done):
      rows = brands_of(block)
      found = search(rows, top_k, block=min(block_brands, count))
      with multihost.raise_together():
        if parts is not None:
          parts.write(block, writer.of(rows, found))
      progress.advance(len(rows))
  lengths: list[int] = []
  with multihost.raise_together():
    if parts is not None:
      lengths = _finish(catalogue, path, parts, len(blocks), kind, writer)
  return Outcome(count, resumed, lengths.count(0), sum(lengths))


def _identity(
  catalogue: catalogue_lib.Catalogue,
  top_k: int,
  filters: filters_lib.Filters,
  block_brands: int,
) -> dict[str, Any]:
  """Returns what makes a job the one it is."""
  wanted = {
    name: sorted(value) if isinstance(value, frozenset | tuple) else value
    for name, value in vars(filters).items()
  }
  leaves = jax.tree.leaves(multihost.fetch(catalogue.trained.params))
  return {
    'layout': _LAYOUT,
    'model': files.digest(catalogue.step, *leaves),
    'bundle': catalogue.bundle_fingerprint,
    'top_k': top_k,
    'filters': files.digest(wanted),
    'block_brands': block_brands,
  }


class _Rows:
  """Turns what was found into the cells of rows."""

  def __init__(self, catalogue: catalogue_lib.Catalogue):
    self._catalogue = catalogue
    self._bands = confidence.Bands(catalogue)
    self.columns = [
      'brand',
      'brand category',
      'rank',
      'place',
      'influencer',
      'followers',
      'category',
      'score',
      'above typical',
      *(f'{p.perspective} {p.modality}' for p in catalogue.pieces),
      'how sure',
      'works with the brand',
      'lacks',
    ]

  def of(
    self, rows: range, found: batch_search.Found
  ) -> list[list[batch_parts.Line]]:
    """Returns, for each brand, the cells of its rows."""
    return [
      self._of_brand(
        self._catalogue.account_at(accounts_lib.BRAND, row),
        found.row_Bxk[i],
        found.place_Bxk[i],
      )
      for i, row in enumerate(rows)
    ]

  def _of_brand(
    self, brand: catalogue_lib.Account, row_k: np.ndarray, place_k: np.ndarray
  ) -> list[batch_parts.Line]:
    side, facts = self._catalogue.influencers, self._catalogue.facts
    row_k = row_k[row_k >= 0]
    own = brand.vector_D.astype(np.float64)
    beyond_kxD = side.vector_NxD[row_k] - side.mean_D
    parts = [
      beyond_kxD[:, p.where] @ own[p.where] for p in self._catalogue.pieces
    ]
    above_k = beyond_kxD @ own
    typical = float(own @ side.mean_D)
    assert brand.row is not None
    partners = set(self._catalogue.partners.get(brand.row, ()))
    lines = []
    for i, row in enumerate(row_k.tolist()):
      account = int(side.account_row_N[row])
      lacks = [k for k, has in side.present.items() if not has[row]]
      place = int(place_k[i])
      lines.append(
        [
          brand.account_id,
          brand.category or None,
          i + 1,
          place,
          str(side.ids_N[row]),
          facts.followers_of(account),
          facts.category_of(account) or None,
          round(typical + float(above_k[i]), 4),
          round(float(above_k[i]), 4),
          *(round(float(part[i]), 4) for part in parts),
          self._bands.of(brand, place, lacks).words,
          'yes' if row in partners else 'no',
          ', '.join(lacks) or None,
        ]
      )
    return lines


def _finish(
  catalogue: catalogue_lib.Catalogue,
  path: str | os.PathLike[str],
  parts: batch_parts.Parts,
  blocks: int,
  kind: str,
  writer: _Rows,
) -> list[int]:
  """Puts the blocks together and deletes them; tells each brand's rows."""
  source = {
    'model step': catalogue.step,
    'bundle': catalogue.dataset.name,
    'bundle fingerprint': catalogue.bundle_fingerprint,
    'date': parts.date,
  }
  lengths: list[int] = []  # rows of each brand

  def rows() -> Iterator[list[Any]]:
    for block in range(blocks):
      lists = parts.read(block)
      if lists is None:
        raise errors.TransientError(
          errors.in_file(
            parts.folder, f'block {block} is gone; run the command again'
          )
        )
      for lines in lists:
        lengths.append(len(lines))
        yield from (line + list(source.values()) for line in lines)

  columns = [*writer.columns, *source]
  write = {
    'csv': lambda f: spreadsheet.write_csv(f, columns, rows()),
    'json': lambda f: _write_json(f, columns, rows(), source),
    'xlsx': lambda f: spreadsheet.write_xlsx(
      f, columns, rows(), source, date=parts.date, large=True
    ),
  }[kind]
  files.write_whole(path, write)
  parts.remove()
  return lengths


def _write_json(
  file: BinaryIO,
  columns: list[str],
  rows: Iterator[list[Any]],
  source: Mapping[str, Any],
) -> None:
  """Writes one object, a row a line."""
  wanted = len(columns) - len(source)
  head = json.dumps({**source, 'recommendations': []}, indent=2)
  file.write(head.removesuffix(']\n}').encode())
  for number, row in enumerate(rows):
    entry = dict(zip(columns[:wanted], row[:wanted], strict=True))
    file.write((',\n' if number else '\n').encode())
    file.write(json.dumps(entry).encode())
  file.write(b'\n]}\n')
