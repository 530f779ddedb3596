import json
import signal
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest
from made_datasets import names, seven_of, texture, write_dataset
from program import PROGRAM, environment, facecrop, typed
from small_run import TINY, small_dataset

from facecrop.cli.audit_print import visible
from facecrop.commands.audit.files import ISSUES
from facecrop.config import override, plain, toml_text, validate
from facecrop.training.settings import TrainSettings


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A dataset with crops, of which one record cannot be read and one has two faces."""
    rows = seven_of(*names(2))
    crops = {str(row["path"]): texture(number, blob=1) for number, row in enumerate(rows)}
    rows[0] |= {"status": "reject", "reason": "corrupt"}
    rows[1] |= {"faces": 2}
    return write_dataset(tmp_path / "out", rows, crops)


def test_checks_are_listed_with_count_examples_and_cure(out: Path) -> None:
    said = typed(
        "audit", out, "--check", "unreadable", "--check", "several-people", "--check", "blur"
    )
    assert said.returncode == 0, said.stderr
    assert "unreadable" in said.stdout
    assert "000001_male_Asian_25/mask1.jpg" in said.stdout
    assert "copy the file" in said.stdout
    assert "nothing by:  blur" in said.stdout
    assert "1 error, 1 warning; the page:" in said.stdout


def test_what_is_missing_is_said(out: Path) -> None:
    said = typed("audit", out)
    assert "skipped:     wrong-person, one-person-twice (" in said.stdout
    assert "not claimed: no face recognition model" in said.stdout
    assert "no split: facecrop split" in said.stdout


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ([], 0),
        (["error"], 3),
        (["warning"], 3),
        (["unreadable=1"], 0),
        (["unreadable=0"], 3),
        (["several-people=1", "error"], 3),
        (["nothing"], 1),
        (["certificate=0"], 1),
    ],
)
def test_limits_that_are_passed_end_with_3(limits: list[str], code: int, out: Path) -> None:
    options = [word for limit in limits for word in ("--fail-on", limit)]
    said = typed("audit", out, *options)
    assert said.returncode == code
    assert (out / ISSUES).exists() == (limits != ["nothing"])
    if code == 3:
        assert "found, " in said.stderr


def test_json_is_json_and_nothing_else_also_when_a_limit_is_passed(out: Path) -> None:
    said = typed("audit", out, "--json", "--fail-on", "error")
    assert said.returncode == 3
    data = json.loads(said.stdout)
    assert data["counts"]["error"] == 1
    assert data["issues"][0]["check"] == "unreadable"


def test_findings_are_accepted_and_told_no_more(out: Path) -> None:
    assert typed("audit", out, "--accept", "unreadable").returncode == 1  # before any audit
    typed("audit", out)
    reason = ("--reviewer", "Ada", "--reason", "lost")
    said = typed("audit", out, "--accept", "unreadable", *reason)
    assert said.stdout == "accepted: 1 finding (audit/accepted.json)\n"
    assert typed("audit", out, "--fail-on", "error").returncode == 0
    assert "taken back: 1 finding" in typed("audit", out, "--withdraw", "all").stdout
    assert typed("audit", out, "--fail-on", "error").returncode == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--check", "blur", "--off", "blur", "--fail-on", "error=0"], "no check is left to run"),
        (["--accept", "all", "--fail-on", "error"], "give --fail-on in a command of its own"),
        (["--accept", "all", "--propose", "x.csv", "--json"], "give --propose, --json in"),
        (["--withdraw", "all", "--train"], "give --train in"),
        (["--accept", "blurr"], "Did you mean 'blur'?"),
        (["--withdraw", "unreadabel"], "Did you mean 'unreadable'?"),
    ],
)
def test_what_would_be_passed_over_in_silence_is_refused(
    options: list[str], words: str, out: Path
) -> None:
    typed("audit", out, "--check", "unreadable")
    said = typed("audit", out, *options)
    assert (said.returncode, said.stderr.count("\n"), said.stdout) == (1, 1, "")
    assert words in said.stderr
    assert not (out / "audit" / "accepted.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--reviewer", "Ada"],
        ["--reason", "lost"],
        ["--withdraw", "all", "--reason", "found again"],
        ["--repeats", "2"],
        ["--address", "auto"],
    ],
    ids=" ".join,
)
def test_an_option_without_the_one_it_goes_with_is_wrong_usage(
    options: list[str], out: Path
) -> None:
    said = typed("audit", out, *options)
    assert (said.returncode, said.stdout) == (2, "")
    assert "it goes with" in said.stderr


def test_since_the_previous_audit_nothing_is_new(out: Path) -> None:
    typed("audit", out)
    said = typed("audit", out, "--since", "previous", "--fail-on", "warning")
    assert said.returncode == 0
    assert "0 new errors, 0 new warnings" in said.stdout


def test_records_are_ranked_with_reason_score_and_key(out: Path) -> None:
    said = typed(
        "audit", out, "--show-errors", "--check", "unreadable", "--check", "several-people"
    )
    lines = said.stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("1. "))
    assert lines[first] == "1. 000001_male_Asian_25/mask1.jpg"
    assert lines[first + 1].startswith("   error unreadable 1.00: corrupt: ")
    assert "2. 000001_male_Asian_25/mask2.jpg" in lines
    key = lines[first + 1].rpartition("[")[2].rstrip("]")
    assert "accepted: 1 finding" in typed("audit", out, "--accept", key).stdout


def test_no_more_records_are_listed_than_asked_for(out: Path) -> None:
    said = typed("audit", out, "--show-errors", "--most", "1", "--check", "unreadable",
                 "--check", "several-people")  # fmt: skip
    assert "2. " not in said.stdout
    assert "and 1 record more" in said.stdout


@pytest.mark.parametrize(("how", "mark"), [("kitty", "\x1b_G"), ("iterm2", "\x1b]1337;"),
                                           ("sixel", "\x1bPq"), ("blocks", "\u2580")])  # fmt: skip
def test_pictures_are_shown_as_asked_for(how: str, mark: str, out: Path) -> None:
    said = typed("audit", out, "--show-errors", "--pictures", how)
    assert mark in said.stdout


def test_a_pipe_gets_neither_pictures_nor_colours_nor_bars(out: Path) -> None:
    env = environment(TERM="xterm-kitty", KITTY_WINDOW_ID="1", COLORTERM="truecolor")
    said = facecrop("audit", out, "--show-errors", env=env)
    assert said.returncode == 0, said.stderr
    assert "\x1b" not in said.stdout
    assert "looking at crops" not in said.stdout + said.stderr


def test_what_people_wrote_commands_no_terminal(tmp_path: Path) -> None:
    rows = seven_of(*names(1))
    for row in rows:
        row |= {"path": f"{row['profile']}/\x1b[2J{row['name']}.jpg", "faces": 2}
    out = write_dataset(tmp_path, rows)
    said = typed("audit", out, "--show-errors")
    assert "\x1b" not in said.stdout
    assert "\\x1b[2Jmask1.jpg" in said.stdout
    assert visible("Zoë 李.jpg") == "Zoë 李.jpg"
    assert visible("a\nb\u202e") == "a\\nb\\u202e"


def test_limits_can_be_set_and_wrong_ones_are_named(out: Path) -> None:
    crops = typed("audit", out, "--check", "dark", "--set", "dark=1").stdout
    assert "100% of all crops" in crops or "dark" in crops
    said = typed("audit", out, "--set", "darc=1")
    assert (said.returncode, said.stderr.count("\n")) == (1, 1)
    assert "Did you mean 'dark'?" in said.stderr


def test_a_folder_that_is_no_dataset_is_said_in_one_line(tmp_path: Path) -> None:
    said = typed("audit", tmp_path)
    assert (said.returncode, said.stderr.count("\n")) == (1, 1)
    assert "index.parquet does not exist" in said.stderr


def test_the_page_is_served_until_it_is_interrupted(out: Path) -> None:
    command = [*PROGRAM, "audit", str(out), "--check", "unreadable", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(line.split()[1] for line in lines if line.startswith("open:"))
        with urlopen(address) as answer:  # noqa: S310 - it is our own, on this machine
            assert b"<title>" in answer.read()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "next:        facecrop relabel" in rest


def test_a_training_comes_before_the_audit_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    _, dataset = small_dataset(tmp_path)
    preset = tmp_path / "tiny.toml"
    settings = validate(TrainSettings, override({}, TINY), "tiny")
    preset.write_text(toml_text(plain(settings)))  # type: ignore[arg-type]  # settings are a table
    monkeypatch.setattr("facecrop.commands.audit.train.PRESET", str(preset))
    said = typed("audit", dataset, "--train", "--device", "cpu", "--json")
    assert said.returncode == 0, said.stderr
    data = json.loads(said.stdout)
    assert data["run"] == "tiny"
    assert "gender-suspect" in {check["name"] for check in data["checks"]}
