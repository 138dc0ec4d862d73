"""Beam runs the same shards and leaves the same bytes."""

import pytest

from morning_jax.core import errors
from morning_jax.features import options as options_lib
from morning_jax.features.stages import beam
from tests.features import preparations


def test_two_workers_of_beam_make_the_bundle_that_one_process_makes(
  raw_world, prepared_world, tmp_path
):
  preparations.prepare(
    raw_world,
    tmp_path / 'bundle',
    sizes=options_lib.Sizes(20, 10_000),
    runner=beam.BeamRunner(
      beam.LOCAL,
      ('--direct_num_workers=2', '--direct_running_mode=multi_processing'),
    ),
  )
  assert preparations.content(tmp_path / 'bundle') == preparations.content(
    prepared_world
  )


def test_a_mistake_found_by_a_worker_is_one_line(raw_world, tmp_path):
  raw = preparations.write_tables(tmp_path / 'raw')
  preparations.write_posts(raw, [preparations.post(timestamp='never')])
  with pytest.raises(errors.UserError, match='row 1: timestamp'):
    preparations.prepare(
      raw, tmp_path / 'bundle', runner=beam.BeamRunner(beam.LOCAL)
    )
  assert not (tmp_path / 'bundle').exists()


def test_runners_that_download_a_program_are_refused():
  with pytest.raises(errors.UserError, match='downloads a program first'):
    beam.check('DirectRunner')
  beam.check(beam.LOCAL)
