"""Labels that a model can tell without faces: a planted wall is found, an ordinary one is not."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from checked import found
from hidden_faces import write_people
from made_datasets import names, seven_of, write_dataset
from program import typed

from facecrop.checks.check import Issue
from facecrop.checks.material import Limits
from facecrop.checks.shortcut import Shortcut, hidden_in, measure_shortcuts
from facecrop.commands.audit.command import audit
from facecrop.commands.audit.material import gather
from facecrop.commands.split import read_settings, split
from facecrop.errors import ConfigError
from facecrop.index import GENDERS, LABELS_FILE, read_table, write_table

SHORT = ("input.size=[32,32]", "optim.epochs=6", "optim.batch_size=16", "optim.ema=0.5")
AXES = {"mask": 3, "gender": 2, "age_group": 3}


def people(out: Path, count: int = 40) -> Path:
    half = count // 2
    return write_dataset(out, seven_of(*names(half), *names(half, "female", 45, 1000)))


def a_run(
    out: Path, right: float, hidden: str | None = "face", name: str = "audit-without-face"
) -> Path:
    """Write a run that is right about the gender of a share of people, and else by chance."""
    chance = np.random.default_rng(0)
    rows = []
    for row in read_table(out / LABELS_FILE).to_pylist():
        profile = row["path"].rpartition("/")[0]
        own = np.random.default_rng(int(profile.split("_")[0]))
        said = row["gender"] if own.random() < right else GENDERS[int(own.random() < 0.5)]
        rows.append(
            {"path": row["path"], "profile": profile, "part": "val", "pred_gender": said,
             "pred_mask": ("worn", "none")[int(chance.random() < 0.5)]}
        )  # fmt: skip
    rows.append(rows[0] | {"part": "train", "path": "nobody/x.jpg"})
    run = out / "runs" / name
    (run / "fold0").mkdir(parents=True)
    (run / "settings.toml").write_text(f'[input]\nhide = "{hidden}"\n' if hidden else "")
    (run / "run.json").write_text('{"members": ["fold0"]}')
    (run / "fold0" / "run.json").write_text('{"visible": 0.25}')
    (run / "result.json").write_text("{}")
    write_table(pa.Table.from_pylist(rows), run / "predictions.parquet")
    return run


def shortcuts(out: Path) -> dict[str, Shortcut]:
    return {one.axis: one for one in measure_shortcuts(gather(out, None, None))}


def issues(out: Path, **limits: float) -> list[Issue]:
    material = gather(out, None, None)
    return found(out, "shortcut", hidden=material.hidden, limits=Limits(**limits))


def test_what_is_told_beyond_chance_is_said_with_its_interval(tmp_path: Path) -> None:
    out = people(tmp_path)
    a_run(out, 0.7)
    measured = shortcuts(out)
    gender = measured["gender"]
    assert (gender.chance, gender.visible, gender.hidden) == (0.5, 0.25, "face")
    assert 0.6 < gender.without.low < gender.without.balanced < gender.without.high <= 1
    assert (gender.without.people, gender.without.records) == (40, 280)
    assert measured["mask"].chance == pytest.approx(1 / 3)
    assert measured["mask"].chance_f1 < 1 / 3  # worn and none are said alike, incorrect never
    (issue,) = issues(out)
    assert issue.reason.startswith("gender can be told from everything but the face (25% of each")
    assert "chance 0.50" in issue.reason
    assert issue.facts is not None
    assert issue.facts["balanced accuracy"] == pytest.approx(gender.without.balanced, abs=1e-4)
    assert issues(out, shortcut=0.5) == []


def test_answers_by_chance_claim_nothing(tmp_path: Path) -> None:
    out = people(tmp_path)
    a_run(out, 0.0)
    assert shortcuts(out)["gender"].without.low < 0.5 < shortcuts(out)["gender"].without.high
    assert issues(out) == []


def test_the_interval_is_over_people_not_over_their_pictures(tmp_path: Path) -> None:
    out = people(tmp_path)
    a_run(out, 0.7)
    one = shortcuts(out)["gender"].without
    of_pictures = 2 * 1.96 * (one.balanced * (1 - one.balanced) / one.records) ** 0.5
    assert one.high - one.low > 2 * of_pictures


def test_labels_that_were_corrected_count_as_corrected(tmp_path: Path) -> None:
    out = people(tmp_path)
    a_run(out, 1.0)
    assert shortcuts(out)["gender"].without.balanced == 1
    table = read_table(out / LABELS_FILE).to_pandas()
    turned = {"male": "female", "female": "male"}
    table["gender"] = table["gender"].map(turned)
    schema = read_table(out / LABELS_FILE).schema
    write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False), out / LABELS_FILE)
    assert shortcuts(out)["gender"].without.balanced == 0


def test_a_run_without_faces_judges_no_labels_and_the_whole_one_stands_beside_it(
    tmp_path: Path,
) -> None:
    out = people(tmp_path)
    blind = a_run(out, 0.7)
    assert audit(out, checks=["shortcut"]).run is None
    with pytest.raises(ConfigError, match="saw pictures without the face: it cannot judge labels"):
        audit(out, blind.name)
    seeing = a_run(out, 1.0, None, "whole")
    result = audit(out, checks=["shortcut"])
    assert result.run == seeing.name
    (gender,) = (one for one in result.shortcuts if one.axis == "gender")
    assert gender.whole is not None
    assert gender.whole.balanced == 1
    assert json.loads(json.dumps(result.as_json()))["shortcuts"][1]["whole"]["f1"] == 1
    assert "1.00 from whole pictures" in result.issues[0].reason


def test_the_last_run_of_each_kind_is_used(tmp_path: Path) -> None:
    out = people(tmp_path)
    for name, hidden in (("b", "face"), ("b-2", "face"), ("b-10", "face"), ("a", "person")):
        a_run(out, 0.5, hidden, name)
    unfinished = a_run(out, 0.5, name="b-11")
    (unfinished / "result.json").unlink()
    hidden_runs = gather(out, None, None).hidden
    assert {hidden: run.name for hidden, run in hidden_runs.items()} == {
        "face": "b-10", "person": "a",
    }  # fmt: skip
    assert hidden_in(out / "runs" / "a") == "person"
    assert hidden_in(out) is None


def test_the_command_line_says_it_with_or_without_a_warning(tmp_path: Path) -> None:
    out = people(tmp_path)
    a_run(out, 0.7)
    said = " ".join(
        typed("audit", out, "--check", "shortcut", "--set", "shortcut=0.5").stdout.split()
    )
    gender = shortcuts(out)["gender"].without
    assert "nothing by: shortcut" in said
    assert "shortcuts: from everything but the face (25% of each picture): mask 0." in said
    assert (
        f"gender {gender.balanced:.2f} ({gender.low:.2f} to {gender.high:.2f}; chance 0.50)" in said
    )


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    result = audit(people(tmp_path), checks=["shortcut"])
    assert result.skipped["shortcut"].endswith(f"facecrop audit {tmp_path} --shortcuts face")
    assert result.shortcuts == ()


def test_a_dataset_of_one_class_has_nothing_to_tell_apart(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(8)))
    a_run(out, 0.5)
    assert set(shortcuts(out)) == {"mask"}


@pytest.mark.parametrize("telling", [True, False])
def test_a_wall_that_tells_the_gender_is_caught_and_another_is_not(
    tmp_path: Path, *, telling: bool
) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from facecrop.commands.audit.command import train_without  # noqa: PLC0415 - torch

    out = write_people(tmp_path, 16, telling=telling)
    split(out, settings=read_settings({"strategy": "kfold", "folds": 2}))
    name = train_without(out, "face", settings=SHORT, device="cpu")
    assert name == "audit-without-face"
    result = audit(out, checks=["shortcut"])
    assert [issue.reason.split()[0] for issue in result.issues] == (["gender"] if telling else [])
    measured = {one.axis: one for one in result.shortcuts}
    assert set(measured) == set(AXES)
    assert measured["gender"].visible == pytest.approx(1 - (16 / 32) ** 2, abs=0.05)
    if telling:
        from facecrop.training.trained import load_run  # noqa: PLC0415 - torch

        with pytest.raises(ConfigError, match=r"pictures without the face.*cannot judge pictures"):
            load_run(out / "runs" / name / "fold0")


def test_pictures_whose_faces_are_not_known_cannot_be_used(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from facecrop.commands.audit.command import train_without  # noqa: PLC0415 - torch

    out = write_people(tmp_path, telling=True, faces=False)
    with pytest.raises(ConfigError, match=r"input\.hide = 'face' needs to know where faces are"):
        train_without(out, "face", settings=SHORT, device="cpu")
