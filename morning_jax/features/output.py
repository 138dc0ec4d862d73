"""What a preparation leaves: a bundle, brand files, and a report for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import csv
import io
import json
import os
import pathlib
import re

from morning_jax.core import accounts as accounts_lib
from morning_jax.core import errors
from morning_jax.core import files
from morning_jax.data import packing
from morning_jax.data.bundle import bundle
from morning_jax.data.bundle import layout
from morning_jax.features import fitted as fitted_lib
from morning_jax.features import preparation

LEFT_OVER = 'left_over_words.csv'
UNREADABLE = 'unreadable_pictures.csv'
SUMMARY = 'summary.json'


def write_bundle(
  prepared: preparation.Prepared,
  path: str | os.PathLike[str],
  *,
  records: bool = False,
) -> None:
  """Writes the bundle, with what was learned in its folder `fitted`.

  Args:
    prepared: what to write.
    path: the folder, which appears complete or not at all.
    records: whether features become ArrayRecord files in place of arrays.

  Raises:
    UserError: it is there and not empty, or what was prepared is no bundle.
    OSError: it can't be written.
  """
  folder = pathlib.Path(path)
  bundle.check_new(folder)
  if records:
    packing.pack(
      prepared.dataset,
      folder,
      write_fitted=lambda place: fitted_lib.save(prepared.fitted, place),
    )
    return
  with files.new_folder(folder) as draft:
    try:
      bundle.write_bundle(prepared.dataset, draft)
    except layout.BundleError as e:
      problem = str(e).rpartition(draft.name)[2].lstrip(': ')
      raise layout.BundleError(errors.in_file(folder, problem)) from None
    fitted_lib.save(prepared.fitted, draft / fitted_lib.FOLDER)
    files.sync_tree(draft)


def write_brand_files(
  prepared: preparation.Prepared, path: str | os.PathLike[str]
) -> list[pathlib.Path]:
  """Writes each brand as `launch.recommend --brand_file` reads it.

  Args:
    prepared: what to write.
    path: the folder, which appears complete or not at all.

  Returns:
    The files.

  Raises:
    UserError: it is there and not empty, or has no brand.
    OSError: it can't be written.
  """
  folder = pathlib.Path(path)
  bundle.check_new(folder)
  dataset = prepared.dataset
  a = dataset.accounts
  brands = a.rows_of(accounts_lib.BRAND).tolist()
  if not brands:
    raise errors.UserError(f'{dataset.name}: has no brand')
  held: dict[int, list[str]] = {}
  if dataset.attributes is not None:
    s = dataset.attributes
    for account, attribute in zip(
      s.holder.tolist(), s.held.tolist(), strict=True
    ):
      held.setdefault(account, []).append(str(s.names_V[attribute]))
  names: list[str] = []
  with files.new_folder(folder) as draft:
    for row in brands:
      account = str(a.ids[row])
      value = {'name': account[:200]}
      if a.categories[row]:
        value['category'] = str(a.categories[row])
      features = {
        feature: array[row].tolist()
        for feature, array in dataset.features.items()
        if array[row, 0] == array[row, 0]  # no NaN
      }
      name = _file_name(account, names)
      names.append(name)
      files.write_text(
        draft / name,
        json.dumps({**value, 'attributes': held.get(row, []), **features})
        + '\n',
      )
  return [folder / name for name in names]


def _file_name(account: str, taken: Sequence[str]) -> str:
  plain = re.sub(r'[^A-Za-z0-9_.-]', '_', account).lstrip('.')[:80] or 'brand'
  name, number = f'{plain}.json', 1
  while name in taken:
    number += 1
    name = f'{plain}-{number}.json'
  return name


def write_report(report: preparation.Report, folder: pathlib.Path) -> None:
  """Writes what a person may want to look at.

  Unreadable pictures go by their posts, so the report is no part of the bundle.

  Args:
    report: what to write.
    folder: made if it is not there; files of it are replaced.
  """
  folder.mkdir(parents=True, exist_ok=True)
  _write_table(
    folder / LEFT_OVER,
    ('word', 'accounts', 'attribute'),
    ((w.word, w.accounts, w.attribute) for w in report.left_over),
  )
  _write_table(
    folder / UNREADABLE,
    ('of', 'post_id', 'picture', 'reason'),
    report.unreadable,
  )
  files.write_json(folder / SUMMARY, dict(report.counts))


def _write_table(
  path: pathlib.Path,
  header: Sequence[str],
  rows: Iterable[Sequence[object]],
) -> None:
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(header)
  writer.writerows(rows)
  files.write_text(path, text.getvalue())
