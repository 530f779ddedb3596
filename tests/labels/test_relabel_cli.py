"""`facecrop relabel` as it is typed: what is printed, where, and how the command ends."""

import csv
from pathlib import Path

import pytest
from program import typed
from tables import a_dataset, a_manifest, labels, people

from facecrop.index import HISTORY_FILE
from facecrop.labels.ages import active_policy

WOMAN, MAN, OLD = "000020_female_Asian_50", "004418_male_Asian_20", "004348_male_Asian_59"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return a_dataset(tmp_path / "out", people(WOMAN, MAN, OLD))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return a_manifest(tmp_path / "mine.csv", (MAN, "", "gender", "male", "female", "=cmd|x"))


def files(out: Path) -> dict[Path, bytes]:
    """What a dataset holds, without the lock of its store."""
    found = (path for path in out.rglob("*") if path.is_file() and ".store" not in path.parts)
    return {path: path.read_bytes() for path in found}


def test_the_list_names_every_manifest_and_policy_and_needs_no_dataset() -> None:
    ended = typed("relabel", "--list")
    assert ended.returncode == 0
    for name in ("consensus", "likely", "disputed", "ages", "official", "threshold-58"):
        assert name in ended.stdout
    assert "17, 18, 19, 20, 57, 58, 59" in ended.stdout


def test_a_dry_run_shows_the_difference_and_writes_nothing(out: Path, manifest: Path) -> None:
    before = files(out)
    ended = typed("relabel", out, "--manifest", manifest, "--dry-run")
    assert ended.returncode == 0, ended.stderr
    row = next(line for line in ended.stdout.splitlines() if line.startswith("mine.csv:2"))
    assert row.split() == ["mine.csv:2", MAN, "gender", "male", "female", "7"]
    assert "1 row would change 7 images" in ended.stdout
    assert files(out) == before


def test_a_dry_run_of_a_policy_shows_how_the_groups_would_change(out: Path) -> None:
    before = files(out)
    ended = typed("relabel", out, "--set-policy", "drop-57-59", "--dry-run")
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["young", "7", "7"] in lines
    assert ["middle", "14", "7"] in lines
    assert ["left", "out", "0", "7"] in lines
    assert "rows" not in ended.stdout
    assert files(out) == before
    assert "as it was" in typed("relabel", out, "--set-policy", "official").stdout


def test_twice_is_once_and_everything_can_be_read_and_taken_back(out: Path, manifest: Path) -> None:
    raw = labels(out)
    assert "nothing was changed yet" in typed("relabel", out, "--log").stdout
    first = typed("relabel", out, "-m", manifest, "--who", "ana", "--set-policy", "threshold-58")
    assert "1 row changed 7 images; already so: 0" in first.stdout, first.stderr
    assert "age policy: official -> threshold-58" in first.stdout
    again = typed("relabel", out, "-m", manifest)
    assert "0 rows changed 0 images; already so: 1" in again.stdout
    log = typed("relabel", out, "--log").stdout
    for word in ("ana", "mine.csv", "threshold-58", "yes"):
        assert word in log
    would = typed("relabel", out, "--undo", "--dry-run").stdout
    assert "would be taken back: application 1" in would
    undone = typed("relabel", out, "--undo")
    assert "taken back: application 1" in undone.stdout
    assert labels(out) == raw
    assert active_policy(out).name == "official"
    assert "undo 1" in typed("relabel", out, "--log").stdout


def test_undo_takes_a_number_and_reset_takes_all(out: Path, manifest: Path) -> None:
    raw = labels(out)
    for policy in ("threshold-57", "threshold-58", "threshold-59"):
        typed("relabel", out, "--set-policy", policy)
    assert "taken back: application 3, 2" in typed("relabel", out, "--undo", 2).stdout
    assert active_policy(out).name == "threshold-57"
    too_many = typed("relabel", out, "--undo", 2)
    assert too_many.returncode == 1
    assert "1 application holds" in too_many.stderr
    typed("relabel", out, "-m", manifest)
    assert typed("relabel", out, "--reset").returncode == 0
    assert labels(out) == raw
    ended = typed("relabel", out, "--reset")
    assert ended.returncode == 0
    assert "nothing to take back" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["2"],
        ["--undo", "--log"],
        ["--undo", "0"],
        [],
        ["--export", "m.csv", "--dry-run"],
        ["--export", "m.csv", "--skip-missing"],
        ["--undo", "--skip-missing"],
        ["--log", "--who", "ana"],
        ["--list", "--dry-run"],
        ["--reset", "--run", "small"],
        ["--export", "m.csv", "--latest"],
    ],
    ids=" ".join,
)
def test_a_command_that_is_no_one_thing_is_wrong_usage(out: Path, arguments: list[str]) -> None:
    ended = typed("relabel", out, *arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_wrong_manifest_ends_with_1_and_names_every_fault(out: Path, tmp_path: Path) -> None:
    before = files(out)
    wrong = a_manifest(
        tmp_path / "wrong.csv",
        ("004418", "", "gender", "male", "female"),
        (MAN, "", "gender", "female", "femal"),
        (WOMAN, "", "age", "51", "52"),
        (OLD, "mask9", "mask", "worn", "none"),
        ("[red]nobody", "", "gender", "male", "female"),
        (OLD, "", "gender", "male", "female"),
    )
    ended = typed("relabel", out, "--manifest", wrong)
    assert ended.returncode == 1
    assert ended.stdout == ""
    first, *faults = ended.stderr.splitlines()
    assert first == "error: 5 rows are wrong, nothing was changed:"
    assert [fault.strip().split(": ")[0] for fault in faults] == [
        f"{wrong}:{line}" for line in (2, 3, 4, 5, 6)
    ]
    assert f"did you mean '{MAN}'?" in faults[0]
    assert "did you mean 'female'?" in faults[1]
    assert "is '50', but the row expects '51'" in faults[2]
    assert "[red]nobody" in faults[4]
    assert files(out) == before
    assert not (out / HISTORY_FILE).exists()


def test_what_is_exported_has_no_formula_and_is_a_manifest(
    out: Path, manifest: Path, tmp_path: Path
) -> None:
    typed("relabel", out, "-m", manifest)
    written = tmp_path / "exported.csv"
    assert "1 correction\n" in typed("relabel", out, "--export", written).stdout
    with written.open(encoding="utf-8", newline="") as stream:
        assert [row["reason"] for row in csv.DictReader(stream)] == ["'=cmd|x"]
    assert "already so: 1" in typed("relabel", out, "-m", written).stdout
