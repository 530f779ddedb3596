import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from made_datasets import names, record, seven_of, texture, write_dataset
from program import environment
from review_dataset import a_run
from small_run import TINY, small_dataset

import facecrop
from facecrop.checks.check import Issue
from facecrop.checks.material import Limits, Material
from facecrop.checks.table import CHECKS
from facecrop.commands.audit.command import (
    accept,
    audit,
    breaches,
    read_limits,
    train_for_audit,
    withdraw,
)
from facecrop.commands.audit.files import ACCEPTED, ISSUES, read_accepted, read_issues
from facecrop.commands.split import read_settings, split
from facecrop.errors import ConfigError, MissingExtraError, TableError
from facecrop.index import read_table
from facecrop.training.runs import Run


def faulty(out: Path, faults: int = 3, people: int = 3) -> Path:
    """Write a dataset of which some records cannot be read, and one has two faces."""
    rows = seven_of(*names(people))
    for row in rows[:faults]:
        row |= {"status": "reject", "reason": "corrupt"}
    rows[-1] |= {"faces": 2}
    return write_dataset(out, rows)


def test_what_is_worst_comes_first_and_all_of_it_is_on_disk(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    result = audit(out)
    ranks = [(issue.severity, -issue.score) for issue in result.issues]
    assert ranks == sorted(ranks)
    assert [issue.check for issue in result.issues] == ["unreadable"] * 3 + ["several-people"]
    assert read_issues(out / ISSUES) == list(result.issues)
    assert result.page.is_file()
    assert result.new == frozenset()


def test_the_same_dataset_gives_the_same_bytes(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    audit(out)
    first = (out / ISSUES).read_bytes(), (out / "audit" / "index.html").read_bytes()
    audit(out)
    assert ((out / ISSUES).read_bytes(), (out / "audit" / "index.html").read_bytes()) == first


def test_what_is_not_at_hand_is_said_with_its_cure(tmp_path: Path) -> None:
    result = audit(faulty(tmp_path))
    assert result.run is None
    assert result.skipped["certificate"] == f"no split: facecrop split {tmp_path}"
    assert result.skipped["dark"] == f"no crops: facecrop preprocess RAW {tmp_path}"
    assert "not claimed: no face recognition model" in result.skipped["wrong-person"]
    assert {check.name for check in result.checks}.isdisjoint(result.skipped)


def test_splits_and_runs_are_found_and_the_fullest_run_is_used(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(8), *names(8, "female", first=30)))
    split(out)
    a_run(out)
    for name in ("base", "other"):
        folder = out / "runs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text("{}")
        (folder / "result.json").write_text("{}")
    result = audit(out)
    assert result.run == "base"
    assert "certificate" in {check.name for check in result.checks}


def test_a_run_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no run 'x' with predictions .*: none"):
        audit(faulty(tmp_path), "x")


def test_only_the_checks_that_are_asked_for_run(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    assert {one.check for one in audit(out, checks=["several-people"]).issues} == {"several-people"}
    assert {one.check for one in audit(out, off=["several-people"]).issues} == {"unreadable"}
    with pytest.raises(ConfigError, match=r"no check named 'blurr'\. Did you mean 'blur'\?"):
        audit(out, checks=["blurr"])


def test_a_partial_audit_keeps_what_the_others_found(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    audit(out)
    audit(out, checks=["several-people"])
    assert len(read_issues(out / ISSUES)) == 4
    assert audit(out).new == frozenset()


def test_since_the_previous_audit_only_what_is_new_counts(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    with pytest.raises(TableError, match="does not exist; it is made by: facecrop audit"):
        audit(out, since="previous")
    audit(out)
    faulty(out, faults=4)
    result = audit(out, since="previous")
    assert [issue.paths[0] for issue in result.open] == ["000001_male_Asian_25/mask4.jpg"]
    assert len(result.issues) == 5
    assert audit(out, since="previous").open == ()


def test_a_kept_table_of_an_earlier_audit_can_be_compared_with(tmp_path: Path) -> None:
    out = faulty(tmp_path / "out", faults=1)
    audit(out)
    kept = tmp_path / "kept.parquet"
    kept.write_bytes((out / ISSUES).read_bytes())
    faulty(out, faults=3)
    audit(out)
    assert len(audit(out, since=str(kept)).open) == 2


def test_since_a_date_only_pictures_that_came_later_count(tmp_path: Path) -> None:
    rows = seven_of(*names(2))
    for number, row in enumerate(rows):
        came = "2026-03-01" if number % 7 == 0 else "2026-01-01"
        nanoseconds = int(datetime.fromisoformat(came).timestamp() * 1e9)
        row |= {"status": "reject", "reason": "corrupt"}
        row |= {"mtime_ns": 0, "ctime_ns": nanoseconds}
    out = write_dataset(tmp_path, rows)
    assert len(audit(out, since="2026-02-01").open) == 2
    assert len(audit(out, since="2025-02-01").open) == 14
    assert len(audit(out, since="2026-03-02T10:00").open) == 0
    with pytest.raises(ConfigError, match="--since takes a date such as 2026-11-21, 'previous'"):
        audit(out, since="yesterday")


def test_what_was_accepted_is_not_told_again_and_can_be_taken_back(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    with pytest.raises(TableError, match="facecrop audit OUT"):
        accept(out, checks=["unreadable"])
    audit(out)
    done = accept(out, checks=["unreadable"], reviewer="Ada", reason="known")
    assert len(done) == 3
    assert accept(out, checks=["unreadable"], reviewer="Bob") == []
    result = audit(out)
    assert {issue.check for issue in result.open} == {"several-people"}
    assert len(result.issues) == 4
    rows = json.loads((out / ACCEPTED).read_text())["accepted"]
    assert {(row["reviewer"], row["reason"]) for row in rows} == {("Ada", "known")}
    assert rows[0]["about"] == "000001_male_Asian_25/mask1.jpg"
    assert withdraw(out, checks=["all"]) == 3
    assert len(audit(out).open) == 4


def test_a_single_finding_is_accepted_by_the_first_digits_of_its_key(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    key = audit(out).issues[0].key
    (done,) = accept(out, [key[:10]])
    assert done.key == key
    with pytest.raises(ConfigError, match="no finding has the key"):
        accept(out, [key[:3]])
    with pytest.raises(ConfigError, match="no finding has the key '0000000000'"):
        accept(out, ["0000000000"])
    with pytest.raises(ConfigError, match="the last audit found nothing by 'blur'; it found: sev"):
        accept(out, checks=["blur"])
    assert withdraw(out, [key]) == 1
    assert read_accepted(out) == {}


def test_a_relabelled_record_keeps_its_acceptance_and_other_bytes_lose_it(tmp_path: Path) -> None:
    out = faulty(tmp_path, faults=1)
    audit(out)
    accept(out, checks=["unreadable"])
    rows = seven_of(*names(3))
    rows[0] |= {"status": "reject", "reason": "corrupt", "digest": b"n" * 32}
    write_dataset(out, rows)
    assert [issue.check for issue in audit(out).open] == ["unreadable"]


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1, "accepted": [{"key": 1}]}'])
def test_a_damaged_baseline_is_said_in_one_line(text: str, tmp_path: Path) -> None:
    out = faulty(tmp_path)
    audit(out)
    (out / ACCEPTED).write_text(text)
    with pytest.raises(TableError, match=r"accepted\.json cannot be read"):
        audit(out)


def test_limits_of_findings_are_counted_without_what_was_accepted(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    result = audit(out)
    assert breaches(result, ["error"]) == ["errors: 3 found, 0 allowed"]
    assert breaches(result, ["warning"]) == ["errors and warnings: 4 found, 0 allowed"]
    assert breaches(result, ["unreadable=3", "several-people=1"]) == []
    assert breaches(result, ["unreadable=2"]) == ["unreadable: 3 found, 2 allowed"]
    accept(out, checks=["unreadable"])
    assert breaches(audit(out), ["error"]) == []


def test_a_limit_on_a_check_that_did_not_run_is_an_error(tmp_path: Path) -> None:
    result = audit(faulty(tmp_path))
    with pytest.raises(ConfigError, match="--fail-on dark: this check did not run: no crops"):
        breaches(result, ["dark=3"])
    with pytest.raises(ConfigError, match="no check or severity named 'eror'"):
        breaches(result, ["eror"])
    with pytest.raises(ConfigError, match="needs a whole number, got 'x'"):
        breaches(result, ["blur=x"])


def test_limits_of_numbers_are_read_like_settings() -> None:
    assert read_limits(["dark=0.3"]) == Limits(dark=0.3)
    with pytest.raises(ConfigError, match=r"limits of the audit: no setting 'darc'"):
        read_limits(["darc=0.3"])
    with pytest.raises(ConfigError, match="dark"):
        read_limits(["dark=3"])


def test_records_that_are_pending_are_refused(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, [record(names(1)[0], "normal", status="pending")])
    with pytest.raises(TableError, match="still pending; finish: facecrop preprocess"):
        audit(out)


def test_the_face_model_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"face recognition model .*x\.onnx' does not exist"):
        audit(faulty(tmp_path), faces=tmp_path / "x.onnx")


def test_the_library_has_it_by_name(tmp_path: Path) -> None:
    out = faulty(tmp_path)
    data = facecrop.audit(out).as_json()
    assert json.loads(json.dumps(data)) == data
    assert {one["name"] for one in data["checks"]} | set(data["skipped"]) == set(CHECKS)
    assert data["counts"] == {"error": 3, "warning": 1}
    assert len(facecrop.audit_accept(out, checks=["all"])) == 4
    assert facecrop.audit_withdraw(out, checks=["all"]) == 4


def test_progress_is_told_of_the_slow_passes(tmp_path: Path) -> None:
    rows = seven_of(*names(1))
    crops = {str(row["path"]): texture(number) for number, row in enumerate(rows)}
    told: list[tuple[str, int, int]] = []
    audit(write_dataset(tmp_path, rows, crops), report=lambda *what: told.append(what))
    assert ("looking at crops", 0, 7) in told


def test_a_check_whose_package_is_missing_is_skipped_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_: Material) -> Iterator[Issue]:
        raise MissingExtraError('doubts need cleanlab: pip install "facecrop[audit]"')

    lacking = replace(CHECKS.load("dropped-ages"), find=find)
    monkeypatch.setattr("facecrop.checks.classes.DROPPED", lacking)
    result = audit(faulty(tmp_path))
    assert result.skipped["dropped-ages"] == ('doubts need cleanlab: pip install "facecrop[audit]"')
    assert "dropped-ages" not in {check.name for check in result.checks}
    assert len(result.issues) == 4


@pytest.mark.parametrize("strategy", [None, "kfold", "stratified"])
def test_a_training_for_the_audit_judges_everybody_whatever_splits_are_there(
    strategy: str | None, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    _, out = small_dataset(tmp_path, profiles=12)
    if strategy is not None:
        split(out, settings=read_settings({"strategy": strategy}))
    name = train_for_audit(out, settings=TINY, device="cpu")
    result = audit(out)
    assert result.run == name
    assert {"gender-suspect", "age-suspect", "mask-suspect"}.isdisjoint(result.skipped)
    run = Run(out / "runs" / name)
    assert run.facts()["split"] == ("audit" if strategy == "stratified" else "default")
    table = read_table(run.predictions_file, ["path", "part"]).to_pylist()
    assert len({row["path"] for row in table if row["part"] == "val"}) == 36


def test_what_needs_no_model_imports_none() -> None:
    code = (
        "import sys, facecrop.commands.audit.command, facecrop.commands.cache; "
        "print([name for name in ('torch', 'timm', 'cleanlab', 'sklearn') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert said.stdout == "[]\n"
