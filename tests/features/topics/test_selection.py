"""The number of topics, coherence against arithmetic."""

import jax
import numpy as np
import pytest

from morning_jax.core import errors
from morning_jax.core import sharding
from morning_jax.features.text import corpus
from morning_jax.features.topics import coherence
from morning_jax.features.topics import options as options_lib
from morning_jax.features.topics import selection
from tests.features.topics import planted

SOURCE = [
  # Documents with words 0, 1, 2, 3: counts say nothing.
  corpus.collect([([0, 1], [1, 9]), ([0], [1]), ([], [])]),
  corpus.collect([([0, 1, 3], [1, 1, 1]), ([3], [1])]),
]


def test_meetings_are_counted_by_documents():
  meetings = coherence.count_meetings(SOURCE, [3, 1, 0, 1])
  assert meetings.words.tolist() == [0, 1, 3]
  assert meetings.documents == 4
  assert meetings.together_nxn.tolist() == [[3, 2, 1], [2, 2, 1], [1, 1, 2]]


def test_coherence_is_as_by_hand():
  meetings = coherence.count_meetings(SOURCE, [0, 1, 2, 3])
  found = coherence.u_mass(meetings, [[0, 1], [1, 0], [0, 1, 3]])
  # p(0, 1) / p(0) = (2/4) / (3/4), and so on.
  np.testing.assert_allclose(
    found,
    np.log([2 / 3, 2 / 2, ((2 / 3) * (1 / 3) * (1 / 2)) ** (1 / 3)]),
    atol=1e-9,
  )
  pair = np.log(0.5 / (0.75 * 0.5)) / -np.log(0.5)
  np.testing.assert_allclose(
    coherence.npmi(meetings, [[0, 1], [1, 0], [0, 2]]), [pair, pair, -1]
  )


def test_words_of_all_documents_are_wholly_coherent():
  always = coherence.count_meetings(
    [corpus.collect([([0, 1], [1, 1])] * 3)], [0, 1]
  )
  assert coherence.npmi(always, [[0, 1]]) == [1]


def test_planted_numbers_are_found():
  topics = planted.topics(6, 10)
  documents, _ = planted.documents(topics, number=1000, length=8, mixing=0.1)
  told = []
  found = selection.choose(
    planted.cut(documents, 100),
    planted.vocabulary(topics.shape[1]),
    options=selection.SelectionOptions(grid=(3, 12, 6), top_words=6),
    lda_options=options_lib.LdaOptions(passes=6, batch_size=128),
    mesh=sharding.make_mesh(devices=jax.devices()[:1]),
    report=told.append,
  )
  assert found.num_topics == 6
  assert [c.num_topics for c in found.candidates] == [3, 6, 12]
  assert tuple(told) == found.candidates
  assert '6 *' in found.table()


def test_candidates_of_like_perplexity_are_told_apart_by_coherence():
  few, some, many, most = (
    selection.Candidate(*c)
    for c in (
      (5, 200.0, -1.0, 0.9),
      (10, 102.0, -1.0, 0.5),
      (20, 100.0, -1.0, 0.4),
      (30, 101.0, -1.0, 0.5),
    )
  )
  everyone = [most, many, some, few]
  assert selection.best_of(everyone, near=0.02) == 10
  assert selection.best_of(everyone, near=0.01) == 30
  assert selection.best_of(everyone, near=0) == 20
  assert selection.best_of(everyone, near=1) == 5


def test_held_out_documents_are_not_learned_from():
  documents, _ = planted.documents(planted.topics(3, 5), number=200)
  parts = [
    corpus.join(list(selection._Part([documents], 0.25, 0, held_out=h)))
    for h in (True, False)
  ]
  assert len(parts[0]) + len(parts[1]) == 200
  assert 25 < len(parts[0]) < 75
  cut = selection._Part(planted.cut(documents, 3, 77), 0.25, 0, held_out=True)
  np.testing.assert_array_equal(corpus.join(list(cut)).words, parts[0].words)


def test_too_few_accounts():
  with pytest.raises(errors.UserError, match='too few accounts'):
    selection.choose([SOURCE[0]], planted.vocabulary(4))


@pytest.mark.parametrize(
  ('field', 'message'),
  [
    ({'grid': ()}, 'topics: the grid'),
    ({'grid': (1, 5)}, 'topics: the grid'),
    ({'held_out': 0.0}, 'held_out: 0'),
    ({'near': -0.1}, 'near: -0.1'),
    ({'top_words': 1}, 'top_words: 1'),
  ],
)
def test_options_that_can_not_be(field, message):
  with pytest.raises(errors.UserError, match=message):
    selection.SelectionOptions(**field)


def test_the_picture_appears(tmp_path):
  chosen = selection.Selection(
    (selection.Candidate(5, 9, -1, 0.1), selection.Candidate(9, 8, -1, 0.2)), 9
  )
  for name in ('topics.png', 'topics.svg'):
    chosen.draw(tmp_path / name)
    assert (tmp_path / name).stat().st_size > 1000
  with pytest.raises(errors.UserError, match=r'topics\.nonsense'):
    chosen.draw(tmp_path / 'topics.nonsense')
  with pytest.raises(errors.UserError, match='No such file'):
    chosen.draw(tmp_path / 'nowhere' / 'topics.png')
