"""How many CPUs there are for us: those that this process may use, where the system tells."""

import os

import pytest

from facecrop.engines.cores import usable_cores


def test_only_what_this_process_may_use_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 2}, raising=False)
    assert usable_cores() == (2, 7)


def test_a_system_that_cannot_tell_lets_all_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == (0, 1, 2)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == (0,)
