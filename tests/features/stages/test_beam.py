"""Beam runs the same shards and leaves the same bytes."""

import os

import pytest

from morning_jax.core import errors
from morning_jax.data import dataset as dataset_lib
from morning_jax.data.bundle import bundle as bundle_lib
from morning_jax.features import options as options_lib
from morning_jax.features import output
from morning_jax.features.stages import beam
from morning_jax.features.stages import runner
from tests.features import preparations
from tests.features.stages import test_runner

TWO_PROCESSES = (
  '--direct_num_workers=2',
  '--direct_running_mode=multi_processing',
)


def test_two_workers_of_beam_do_all_shards_in_processes_of_their_own(tmp_path):
  task = test_runner.squares(tmp_path)
  runner.complete(task, beam.BeamRunner(beam.LOCAL, TWO_PROCESSES))
  for shard in range(task.shards):
    with task.open(shard) as stored:
      assert stored['square'].tolist() == [shard**2]
      assert stored['by'] != os.getpid()


# A dozen pipelines, each of which starts processes.
@pytest.mark.slow
def test_two_workers_of_beam_make_the_bundle_that_one_process_makes(
  raw_world, prepared_world, tmp_path
):
  prepared = preparations.prepare(
    raw_world,
    tmp_path / 'bundle',
    sizes=options_lib.Sizes(20, 10_000),
    runner=beam.BeamRunner(beam.LOCAL, TWO_PROCESSES),
  )
  assert preparations.content(tmp_path / 'bundle') == preparations.content(
    prepared_world
  )
  output.write_bundle(prepared, tmp_path / 'records', records=True)
  records = bundle_lib.read_bundle(tmp_path / 'records')
  assert dataset_lib.fingerprint(records) == dataset_lib.fingerprint(
    bundle_lib.read_bundle(prepared_world)
  )


def test_a_mistake_found_by_a_worker_is_one_line(tmp_path):
  task = test_runner.squares(tmp_path, bad=(3, 1))
  with pytest.raises(errors.UserError, match='shard 1 is bad'):
    runner.complete(task, beam.BeamRunner(beam.LOCAL))
  assert len(list(tmp_path.rglob('*.npz'))) == 3


def test_runners_that_download_a_program_are_refused():
  with pytest.raises(errors.UserError, match='downloads a program first'):
    beam.check('DirectRunner')
  beam.check(beam.LOCAL)
