"""What becomes of a task whose machine was lost, again and again."""

import pytest

from facecrop.engines.attempts import Attempt, apart
from facecrop.engines.work import Task
from facecrop.errors import WorkerError

NONE: frozenset[int] = frozenset()


def test_parts_go_their_own_ways_with_what_is_held_against_each() -> None:
    left = apart(Attempt(Task([["a"], ["b", "c"]], (NONE, frozenset({1})), hung=True)))
    assert [one.task.parts for one in left] == [[["a"]], [["b", "c"]]]
    assert [one.task.suspects for one in left] == [(), (frozenset({1}),)]
    assert all(one.task.hung for one in left)
    assert [one.lost for one in left] == [0, 0]


def test_a_part_alone_is_tried_again_then_suspected_then_the_end() -> None:
    attempt, lives = Attempt(Task([["a", "b"]])), 0
    while not attempt.task.suspects:
        (attempt,) = apart(attempt)
        lives += 1
    assert lives > 1, "a machine may be lost by chance"
    assert attempt == Attempt(Task([["a", "b"]], (frozenset({0, 1}),)))
    for _ in range(lives - 1):
        (attempt,) = apart(attempt)
    with pytest.raises(WorkerError, match="die whatever they are given"):
        apart(attempt)


def test_a_profile_without_pictures_has_nothing_to_suspect() -> None:
    attempt = Attempt(Task([[]], (NONE,)), lost=10)
    with pytest.raises(WorkerError):
        apart(attempt)
