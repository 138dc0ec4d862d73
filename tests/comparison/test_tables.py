"""Tables as text, Markdown and LaTeX."""

from morning_jax.comparison import tables


def table(*rows):
  return tables.Table(['category', 'method', 'A_B'], [list(r) for r in rows])


def test_latex_is_escaped_inside_a_float():
  latex = tables.to_latex(
    table(('a|b', '50 % & {x}', '0.1 ±0.2*|')), caption='Methods'
  ).splitlines()
  assert latex[:3] == [
    r'\begin{table}',
    r'\centering',
    r'\caption{Methods}',
  ]
  assert latex[3] == r'\begin{tabular}{llr}' and latex[-1] == r'\end{table}'
  for rule in ('toprule', 'midrule', 'bottomrule'):
    assert rf'\{rule}' in latex
  cells = [[c.strip() for c in x.split(' & ')] for x in latex if ' & ' in x]
  assert cells == [
    ['category', 'method', r'A\_B \\'],
    ['a|b', r'50 \% \& \{x\}', r'0.1 $\pm$0.2*| \\'],
  ]


def test_markdown_is_escaped():
  lines = tables.to_markdown(
    table(('a|b', 'MIR', '0.1 ±0.2*'), ('c', 'x', '-'))
  ).splitlines()
  assert [x.replace(' ', '') for x in lines if '--' not in x] == [
    '|category|method|A_B|',
    r'|a\|b|MIR|0.1±0.2\*|',
    '|c|x|-|',
  ]
  assert set(lines[1]) == {'|', '-'}


def test_text_has_names_on_the_left_and_numbers_on_the_right():
  lines = tables.to_text(table(('a', 'MIR', '1'), ('b', 'CAMERA', '22')))
  assert lines.splitlines()[2:] == [
    'a           MIR           1',
    'b           CAMERA       22',
  ]
