"""Where a training runs: what `auto` stands for."""

from pathlib import Path

import pytest
from small_run import small_dataset, small_run

from facecrop.config import read_toml
from facecrop.training.hardware import resolve_precision


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_a_precision_that_was_asked_for_is_not_changed(precision: str) -> None:
    assert resolve_precision(precision, "cpu") == precision


def test_a_run_says_which_precision_auto_was(tmp_path: Path) -> None:
    _, out = small_dataset(tmp_path, profiles=5)
    run = small_run(out, "auto", 'optim.precision="auto"')
    written = read_toml(run.folder / "settings.toml")
    assert written.get("optim", {}).get("precision", "float32") == resolve_precision("auto", "cpu")
