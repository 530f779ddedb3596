"""What a review called correct as given is accepted: from a file, and at once if it is served."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_datasets import names, seven_of, write_dataset
from program import typed

from facecrop.checks.check import Issue
from facecrop.commands.audit.command import accept_review, audit
from facecrop.commands.audit.data import dataset_id
from facecrop.commands.audit.files import ACCEPTED, read_accepted
from facecrop.commands.audit.reviewed import REVIEW
from facecrop.commands.audit.serve import _Server
from facecrop.errors import ConfigError
from facecrop.index import INDEX_FILE, read_table


@pytest.fixture
def out(tmp_path: Path) -> Path:
    rows = seven_of(*names(2))
    for row in rows[:2]:
        row |= {"status": "reject", "reason": "corrupt"}
    return write_dataset(tmp_path / "set", rows)


def decisions(out: Path, *issues: Issue, **changes: Any) -> dict[str, Any]:
    """What the page saves when these findings are correct as given."""
    rows = [
        {"key": one.key, "check": one.check, "about": one.paths[0], "reviewer": "Ann",
         "reason": "correct as given"}
        for one in issues
    ]  # fmt: skip
    mine = dataset_id(read_table(out / INDEX_FILE))
    return {"format": 1, "dataset": mine, "reviewer": "Ann", "accepted": rows} | changes


def saved(file: Path, said: object) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(said), encoding="utf-8")
    return file


def test_what_a_review_left_as_given_is_told_no_more(out: Path, tmp_path: Path) -> None:
    one, two = audit(out, checks=["unreadable"]).open
    file = saved(tmp_path / "decided.json", decisions(out, one))
    done = typed("audit", out, "--accept", file)
    assert done.stdout == "accepted: 1 finding (audit/accepted.json)\n", done.stderr
    accepted = read_accepted(out)[one.key]
    assert (accepted.reviewer, accepted.reason) == ("Ann", "correct as given")
    assert audit(out, checks=["unreadable"]).open == (two,)
    assert accept_review(out, file) == []
    typed("audit", out, "--withdraw", "all")
    assert len(audit(out, checks=["unreadable"]).open) == 2


def test_the_review_that_was_served_needs_no_name(out: Path) -> None:
    found = audit(out, checks=["unreadable"]).open
    said = decisions(out, *found)
    for row in said["accepted"]:
        row["reviewer"] = ""
    saved(out / REVIEW, said)
    done = typed("audit", out, "--accept", "review", "--reviewer", "Bob", "--reason", "old files")
    assert done.stdout == "accepted: 2 findings (audit/accepted.json)\n", done.stderr
    rows = read_accepted(out).values()
    assert {(row.reviewer, row.reason) for row in rows} == {("Bob", "old files")}
    assert typed("audit", out, "--check", "unreadable", "--fail-on", "error").returncode == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "does not exist; the review page saves it"),
        ("{", "cannot be read"),
        ([], "holds no decisions of a review page"),
        ({"dataset": "x"}, "holds no decisions of a review page"),
        ({"accepted": [], "dataset": "0123"}, "holds decisions about another dataset"),
        ({"accepted": 3}, "what is accepted needs a list of key, check,"),
        ({"accepted": [{"key": "a" * 32}]}, "what is accepted needs a list of key, check,"),
        ({"accepted": [{"key": "../x", "check": "", "about": "", "reviewer": "", "reason": ""}]},
         "what is accepted needs a list of key, check,"),
    ],
)  # fmt: skip
def test_what_is_no_review_accepts_nothing(
    said: Any, words: str, out: Path, tmp_path: Path
) -> None:
    file = tmp_path / "decided.json"
    if isinstance(said, str):
        file.write_text(said)
    elif said is not None:
        mine = decisions(out) if isinstance(said, dict) and "accepted" in said else {}
        saved(file, mine | said if isinstance(said, dict) else said)
    with pytest.raises(ConfigError, match=words):
        accept_review(out, file)
    assert not (out / ACCEPTED).exists()
    assert typed("audit", out, "--accept", file).returncode == 1


def test_where_it_is_served_it_is_accepted_at_once_and_an_undo_takes_it_back(out: Path) -> None:
    one, two = audit(out, checks=["unreadable"]).open
    typed("audit", out, "--accept", two.key)
    server = _Server(out, 0)
    try:
        for said, expected in [
            (decisions(out), {two.key}),
            (decisions(out, one), {one.key, two.key}),
            (decisions(out), {two.key}),
        ]:
            server.keep({"revision": server.decisions()["revision"], "decisions": said})
            assert set(read_accepted(out)) == expected
    finally:
        server.server_close()
