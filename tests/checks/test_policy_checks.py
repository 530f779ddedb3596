import json
from pathlib import Path

from checked import found
from made_datasets import names, seven_of, write_dataset

from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import read_settings, split


def people() -> list[str]:
    return [
        name
        for number, (gender, age) in enumerate(
            [(gender, age) for gender in ("male", "female") for age in (25, 45, 64)]
        )
        for name in names(6, gender, age, first=1 + 100 * number)
    ]


def test_a_sound_split_has_no_issue(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*people()))
    split(out)
    assert found(out, "certificate", splits=("default",)) == []
    assert found(out, "missing-class", splits=("default",)) == []


def test_a_split_of_other_records_is_an_error_with_its_cure(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*people()))
    split(out)
    write_dataset(out, seven_of(*people(), "999999_male_Asian_30"))
    (issue,) = found(out, "certificate", splits=("default",))
    assert issue.severity == "error"
    assert "--extend default" in issue.reason


def test_an_altered_certificate_is_an_error(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*people()))
    split(out)
    file = out / "splits" / "default.certificate.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"split_sha256": "0" * 64}))
    (issue,) = found(out, "certificate", splits=("default",))
    assert "is not the one its certificate was written for" in issue.reason


def test_a_random_split_is_told_as_what_it_is(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*people()))
    split(out, "loose", read_settings({"strategy": "random"}))
    (issue,) = found(out, "certificate", splits=("loose",))
    assert (issue.severity, issue.score) == ("warning", 0.5)
    assert "it parts people" in issue.reason


def test_a_class_that_validation_has_none_of_is_named(tmp_path: Path) -> None:
    rare = "777777_female_Asian_64"
    some = [name for name in people() if not name.endswith("female_Asian_64")]
    out = write_dataset(tmp_path, seven_of(*some, rare))
    split(out)
    issues = found(out, "missing-class", splits=("default",))
    assert len(issues) == 3  # worn, incorrect, none: whichever side she is on, the other has none
    assert all("female old' is in " in issue.reason for issue in issues)


def test_what_a_policy_leaves_out_is_told_from_a_tenth_on(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(17, age=25), *names(3, age=58, first=50)))
    assert found(out, "dropped-ages") == []
    relabel(out, set_policy="drop-57-59")
    (issue,) = found(out, "dropped-ages")
    assert issue.reason == "age policy 'drop-57-59' leaves out 15% of the records"
