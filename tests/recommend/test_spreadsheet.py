"""Files that run nothing when somebody opens them."""

import csv
import io

import openpyxl
import pytest

from morning_jax.core import errors
from morning_jax.recommend import lists
from morning_jax.recommend import spreadsheet

HOSTILE = (
  '=1+1',
  '=HYPERLINK("http://evil","x")',
  "+cmd|' /C calc'!A0",
  '-2+3',
  '@SUM(1)',
  '\t=1',
  '\r=1',
  '  =1',
  '＝1',
  'http://evil.example',
  'a,"b"\nc',
  '1e5',
)
ROWS = [
  {'rank': i, 'influencer': text, 'score': -1.5, 'followers': None}
  for i, text in enumerate(HOSTILE, 1)
]


def test_no_cell_of_a_csv_is_a_formula():
  content = spreadsheet.to_csv(ROWS)
  assert content.startswith(b'\xef\xbb\xbf')  # by which Excel knows UTF-8
  header, *rows = csv.reader(io.StringIO(content.decode('utf-8-sig')))
  assert header == list(ROWS[0])
  for text, row in zip(HOSTILE, rows, strict=True):
    assert row[1].removeprefix("'") == text
    assert row[1].lstrip(' ')[0] not in '=+-@\t\r＝'
    # A negative number is no formula, and stays a number.
    assert row[2:] == ['-1.5', '']
  assert [r[1] for r in rows if r[1][0] != "'"] == list(HOSTILE[-3:])


def test_no_cell_of_a_workbook_is_a_formula_or_a_link():
  about = {'asked for': '=1+1', 'model step': 7}
  content = spreadsheet.to_xlsx(ROWS, about)
  book = openpyxl.load_workbook(io.BytesIO(content))
  assert book.sheetnames == ['recommendations', 'about']
  sheet = book['recommendations']
  cells = list(sheet.iter_rows(min_row=2))
  assert [c.value for c in next(sheet.iter_rows())] == list(ROWS[0])
  for text, row in zip(HOSTILE, cells, strict=True):
    assert row[1].data_type == 's' and row[1].hyperlink is None
    assert row[1].value.replace('_x000D_', '\r') == text
    assert row[0].data_type == 'n' and row[2].value == -1.5
    assert row[3].value is None
  found = {r[0].value: r[1] for r in book['about'].iter_rows(min_row=2)}
  assert found['asked for'].data_type == 's'
  assert found['model step'].value == 7
  formulas = openpyxl.load_workbook(io.BytesIO(content), data_only=False)
  for ws in formulas:
    assert not [c for r in ws.iter_rows() for c in r if c.data_type == 'f']


def test_lists_of_a_user(tmp_path):
  file = tmp_path / 'out.txt'
  file.write_text('\ufeffann\n\n  bob \nann\n', encoding='utf-8')
  assert lists.read_ids(file) == {'ann', 'bob'}
  costs = tmp_path / 'costs.csv'
  costs.write_text('cost;account_id\n12.5;ann\n3;bob\n')
  assert lists.read_costs(costs) == {'ann': 12.5, 'bob': 3.0}


@pytest.mark.parametrize(
  ('row', 'message'),
  [
    ('ann,0', 'no number above 0'),
    ('ann,nan', 'no number above 0'),
    ('ann,inf', 'no number above 0'),
    ('ann,12 EUR', 'no number above 0'),
    ('bob,2\nbob,3', 'there twice'),
  ],
)
def test_costs_that_are_none(tmp_path, row, message):
  file = tmp_path / 'costs.csv'
  file.write_text(f'account_id,cost\n{row}\n')
  with pytest.raises(errors.UserError, match=message):
    lists.read_costs(file)
