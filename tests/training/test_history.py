from morning_jax.training import history


def test_evaluations_are_kept_up_to_where_a_run_goes_on(tmp_path):
  written = history.History(tmp_path, step=0)
  for step in (5, 10, 15):
    written.add(step, {'map': step / 100, 'per_category': {}, 'cauc': None})
  assert history.read(tmp_path)[1] == {'map': 0.1, 'step': 10}
  again = history.History(tmp_path, step=10)
  again.add(15, {'map': 0.5})
  found = history.read(tmp_path)
  assert [(x['step'], x['map']) for x in found] == [
    (5, 0.05),
    (10, 0.1),
    (15, 0.5),
  ]


def test_a_line_cut_short_is_left_out(tmp_path):
  history.History(tmp_path, step=0).add(5, {'map': 0.5})
  path = tmp_path / history.FILE
  path.write_text(path.read_text() + '{"map": 0.')
  assert [x['step'] for x in history.read(tmp_path)] == [5]
  history.History(tmp_path, step=5).add(10, {'map': 0.6})
  assert [x['step'] for x in history.read(tmp_path)] == [5, 10]


def test_a_folder_without_evaluations(tmp_path):
  assert history.read(tmp_path) == []
