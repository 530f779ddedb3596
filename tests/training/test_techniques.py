"""Every technique of the reports is a setting or a command: the table that says where is true."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from facecrop.config import read_toml, validate
from facecrop.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "techniques.md"
PRESETS = ROOT / "manifests" / "training"
TECHNIQUES: list[dict[str, Any]] = read_toml(ROOT / "docs" / "techniques.toml")["technique"]
# Rows of the list of techniques that the five reports name.
ROWS = {"000": 23, "001": 14, "002": 18, "003": 17, "004": 18}

_HEAD = """# Every technique of the reports, and where it is

Made of `techniques.toml` by `FACECROP_GOLDEN=write pytest tests/training/test_techniques.py`. Each
value of a preset is asserted by `test_a_preset_has_the_value_of_its_report`, under the row's name.

| report, row | technique | where | test |
| --- | --- | --- | --- |
"""


def _name(technique: dict[str, Any]) -> str:
    return f"{technique['report']}-{technique['row']}-{technique.get('preset', 'command')}"


@lru_cache
def _settings(preset: str) -> TrainSettings:
    path = PRESETS / f"{preset}.toml"
    return validate(TrainSettings, read_toml(path), str(path))


def _value(settings: object, key: str) -> object:
    for part in key.split("."):
        settings = settings[int(part)] if isinstance(settings, tuple) else getattr(settings, part)
    return list(settings) if isinstance(settings, tuple) else settings


@pytest.mark.parametrize("technique", [t for t in TECHNIQUES if "preset" in t], ids=_name)
def test_a_preset_has_the_value_of_its_report(technique: dict[str, Any]) -> None:
    settings = _settings(technique["preset"])
    assert technique["settings"]
    for key, wanted in technique["settings"].items():
        assert _value(settings, key) == (None if wanted == "unset" else wanted), key


@pytest.mark.parametrize("technique", [t for t in TECHNIQUES if "preset" not in t], ids=_name)
def test_a_command_names_a_test_that_exists(technique: dict[str, Any]) -> None:
    file, _, name = technique["test"].partition("::")
    assert (ROOT / file).exists()
    assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_no_row_of_any_report_is_missing() -> None:
    rows = {(technique["report"], technique["row"]) for technique in TECHNIQUES}
    assert rows == {(report, row + 1) for report, count in ROWS.items() for row in range(count)}


def test_every_preset_of_a_report_stands_for_some_row() -> None:
    ours = {"small", "strong"}
    shipped = {path.stem for path in PRESETS.glob("*.toml")} - ours
    assert shipped == {technique["preset"] for technique in TECHNIQUES if "preset" in technique}


def test_a_preset_says_what_was_reported_and_what_was_unclear() -> None:
    for path in PRESETS.glob("0*.toml"):
        comment = [
            line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] == "#"
        ]
        assert comment[0].startswith(f"# Report {path.stem[:3]}"), path
        assert any("Reported:" in line for line in comment), path


def test_the_page_says_what_the_table_says() -> None:
    page = _HEAD + "".join(f"{_row(technique)}\n" for technique in TECHNIQUES)
    if os.environ.get("FACECROP_GOLDEN") == "write":
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page


def _row(technique: dict[str, Any]) -> str:
    if "preset" in technique:
        values = ", ".join(f"`{key} = {_shown(v)}`" for key, v in technique["settings"].items())
        where, test = f"`{technique['preset']}`: {values}", f"`[{_name(technique)}]`"
    else:
        where, test = f"`{technique['how']}`", f"`{technique['test']}`"
    note = f" ({technique['note']})" if "note" in technique else ""
    cells = (f"{technique['report']}, {technique['row']}", technique["what"] + note, where, test)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
