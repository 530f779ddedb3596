"""A disk that is full or cannot be written: a clear end, and the next run goes on."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import write_profiles
from runs import content, run

from facecrop.errors import StoreError


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, below: Path, after: int) -> Iterator[None]:
    """Let every rename below a folder fail after so many, as when no space is left."""
    count = 0
    replace = Path.replace

    def failing(self: Path, target: Any) -> Any:
        nonlocal count
        if below in Path(target).parents:
            count += 1
            if count > after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        yield


def test_a_full_disk_ends_with_one_error_and_the_next_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write_profiles(tmp_path / "raw", 2)
    run(raw, tmp_path / "whole")
    messages: list[str] = []
    for after in range(0, 200, 2):
        out = tmp_path / f"out-{after}"
        try:
            with full_disk(monkeypatch, out, after):
                run(raw, out)
        except StoreError as error:
            messages.append(str(error))
        else:
            break  # nothing is left to fail
        run(raw, out)
        assert content(out) == content(tmp_path / "whole"), after
    assert 5 < len(messages) < 50
    assert all("No space left" in message and "\n" not in message for message in messages)


def test_a_read_only_place_is_one_error(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        run(raw, tmp_path / "file" / "out")
