import pytest

from morning_jax.training import schedule as schedule_lib


@pytest.mark.parametrize(
  ('num_steps', 'every', 'call'), [(19, 5, 2), (20, 5, 5), (7, 100, 3)]
)
def test_stops_do_not_depend_on_where_a_run_starts(num_steps, every, call):
  schedule = schedule_lib.Schedule(num_steps, every, call)
  stops = [0]
  while stops[-1] < num_steps:
    stops.append(schedule.next_stop(stops[-1]))
    assert 0 < stops[-1] - stops[-2] <= call
  # Every evaluation is at a stop, and the last step is saved.
  saved = [s for s in stops[1:] if schedule.is_saved(s)]
  assert saved == [*range(every, num_steps, every), num_steps]
  for start in range(num_steps):
    following = min(s for s in stops if s > start)
    assert schedule.next_stop(start) <= following


def test_progress_counts_evaluations_without_gain():
  progress = schedule_lib.Progress()
  for step, value in enumerate([0.2, 0.3, 0.3, 0.1]):
    progress = progress.after(step, {'map': value})
  # Of equals the newest is the best; a tie is no gain.
  assert progress == schedule_lib.Progress(0.3, 2, 2)
  assert progress.is_over(2)
  assert not progress.is_over(3)
  assert not progress.is_over(0)
