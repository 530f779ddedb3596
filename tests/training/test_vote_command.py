"""The command `vote`: members, scores, weights and shipped presets."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_votes import Write, writer
from program import typed

import facecrop
from facecrop.commands.vote.command import shipped_votes
from facecrop.config import manifests_dir, read_toml
from facecrop.errors import ConfigError, TableError


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


# The command


@pytest.fixture
def three(write: Write) -> list[Path]:
    head = "ImageID,ans\n"
    return [
        write("a.csv", head + "x.jpg,1\ny.jpg,2\nz.jpg,3\n"),
        write("b.csv", head + "z.jpg,3\ny.jpg,5\nx.jpg,4\n"),
        write("c.csv", head + "x.jpg,4\ny.jpg,5\nz.jpg,9\n"),
    ]


def test_the_command_writes_what_the_library_says(three: list[Path], tmp_path: Path) -> None:
    ended = typed("vote", *three, "--submission", tmp_path / "out.csv")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.csv").read_text() == ("ImageID,ans\nx.jpg,4\ny.jpg,5\nz.jpg,3\n")
    result = facecrop.vote(three)
    assert result.said.classes.tolist() == [4, 5, 3]
    assert "hard vote of 3 members on 3 pictures" in ended.stdout
    assert [round(one.agreement, 4) for one in result.voters] == [0.3333, 1, 0.6667]


def test_the_best_by_score_vote_best_first(three: list[Path], write: Write) -> None:
    scores = write("scores.csv", "member,score\na,0.5\nb,0.2\nc,0.7\n")
    result = facecrop.vote(three, scores=scores, top=2)
    assert [voter.votes for voter in result.voters] == [True, False, True]
    assert result.said.classes.tolist() == [4, 5, 9]  # all ties: c is the better one
    with pytest.raises(ConfigError, match="the score of 'b' is not known"):
        facecrop.vote(three, scores={"a": 0.5, "c": 0.7}, top=2)


def test_votes_count_by_score_times_weight(three: list[Path]) -> None:
    scores = {"a": 0.9, "b": 0.4, "c": 0.4}
    result = facecrop.vote(three, scores=scores, weigh_by_score=True)
    assert result.said.classes.tolist() == [1, 2, 3]
    heavier = facecrop.vote(three, scores=scores, weigh_by_score=True, weights={"b": 2})
    assert [voter.weight for voter in heavier.voters] == pytest.approx([0.9, 0.8, 0.4])
    assert heavier.said.classes.tolist() == [4, 5, 3]
    with pytest.raises(ConfigError, match="no member 'd' to weigh"):
        facecrop.vote(three, weights={"d": 2})


def test_the_closest_to_the_truth_of_a_file_vote(three: list[Path]) -> None:
    result = facecrop.vote(three, closest=1, known=three[2])
    assert result.said.classes.tolist() == [4, 5, 9]
    assert [voter.distance for voter in result.voters] == pytest.approx([1, 1 / 3, 0])
    with pytest.raises(ConfigError, match="--closest needs --known"):
        facecrop.vote(three, closest=1)
    with pytest.raises(ConfigError, match="leave one out"):
        facecrop.vote(three, closest=1, top=1)


def test_members_and_outcome_are_scored_by_a_truth(three: list[Path], write: Write) -> None:
    truth = write(
        "t.csv",
        "path,mask,gender,age_group\nx.jpg,worn,female,middle\n"
        "y.jpg,worn,female,old\nz.jpg,worn,,old\n",
    )
    result = facecrop.vote(three, truth=truth)
    assert (result.f1, result.accuracy) == (1, 1)
    assert [voter.score for voter in result.voters] == [0, 1, 1]


def test_unknown_scores_are_estimated(three: list[Path]) -> None:
    ended = typed("vote", *three, "--estimate", "--scores", _scores(three[0].parent, "b,0.6"))
    assert "a: perhaps 0.2000" in ended.stdout
    assert "as an accuracy, between 0.0000 and 1.0000" in ended.stdout
    assert "hard: perhaps 0.6000" in ended.stdout


def _scores(folder: Path, line: str) -> Path:
    path = folder / "known.csv"
    path.write_text(f"member,score\n{line}\n")
    return path


def test_members_are_scored_by_the_validation_of_their_runs(three: list[Path]) -> None:
    runs = three[0].parent / "runs"
    for name, right in (("a", 1), ("b", 0)):
        (runs / name).mkdir(parents=True)
        pq.write_table(
            pa.table(
                {
                    "path": ["p"],
                    "part": ["val"],
                    "pred_gender": ["male"],
                    "target_gender": [["female", "male"][right]],
                }
            ),
            runs / name / "predictions.parquet",
        )
    result = facecrop.vote(three[:2], scores=runs, top=1)
    assert [voter.score for voter in result.voters] == [1, 0]
    with pytest.raises(TableError, match="to score 'c' by"):
        facecrop.vote(three, scores=runs, top=1)
    both = facecrop.vote([runs / "a", f"other={runs / 'b'}"])
    assert [voter.name for voter in both.voters] == ["a", "other"]
    assert both.said.axes == ("gender",)


def test_two_members_of_one_name_are_told_apart_by_naming_them(three: list[Path]) -> None:
    with pytest.raises(ConfigError, match="two members are called 'a'"):
        facecrop.vote([three[0], three[0]])
    result = facecrop.vote([three[0], f"again={three[0]}"])
    assert [voter.name for voter in result.voters] == ["a", "again"]


@pytest.mark.parametrize("arguments", [["--weight", "a"], ["--weight", "a=b"], ["--weight", "=1"]])
def test_a_weight_that_is_none_is_refused(three: list[Path], arguments: list[str]) -> None:
    ended = typed("vote", *three, *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "--weight needs NAME=NUMBER" in ended.stderr


def test_soft_voting_says_when_answers_were_not_the_most_probable(write: Write) -> None:
    rows = ["path,pred_gender,p_gender_male,p_gender_female", "a,male,0.4,0.6", "b,female,0.1,0.9"]
    file = write("g.csv", "\n".join(rows))
    assert facecrop.vote([file]).warnings == ()
    (warning,) = facecrop.vote([file], how="soft").warnings
    assert warning.startswith("50.0% of the answers of 'g' are not its most probable class")


def test_a_prior_correction_needs_known_shares_and_soft_votes(
    three: list[Path], write: Write
) -> None:
    with pytest.raises(ConfigError, match="needs --known"):
        facecrop.vote(three, how="soft", prior_correction=1)
    with pytest.raises(ConfigError, match="for soft voting"):
        facecrop.vote(three, prior_correction=1)
    common = "".join(f"{n},{3 if n < 8 else 9}\n" for n in range(10))
    known = write("known.csv", "path,class\n" + common)
    result = facecrop.vote(three, how="soft", known=known, prior_correction=1)
    assert result.said.classes.tolist() == [4, 5, 9]  # 3 has two of three votes, but is common


def test_the_vote_needs_no_heavy_package() -> None:
    code = (
        "import sys, facecrop.commands.vote.command;"
        "print('torch' in sys.modules, 'timm' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "False"]


# Presets


def test_every_shipped_vote_is_listed_with_what_it_is() -> None:
    ended = typed("vote", "--presets")
    for name, about in shipped_votes().items():
        assert name in ended.stdout
        assert about.startswith("Report ")


def test_the_members_of_shipped_votes_are_shipped_presets() -> None:
    known = {path.stem for path in (manifests_dir() / "training").glob("*.toml")}
    for name in shipped_votes():
        data = read_toml(manifests_dir() / "training" / "votes" / f"{name}.toml")
        assert {one["name"] for one in data.get("members", [])} <= known


def test_report_000_votes_with_the_eight_best(write: Write) -> None:
    files = [write(f"m{n}.csv", f"ImageID,ans\nx,{n}\n") for n in range(10)]
    scores = {f"m{n}": n / 10 for n in range(10)}
    result = facecrop.vote(files, preset="000-top-8", scores=scores)
    assert [voter.name for voter in result.voters if not voter.votes] == ["m0", "m1"]
    assert (result.how, result.said.classes.tolist()) == ("hard", [9])


def test_report_003_chooses_by_the_leaderboard_or_by_the_distribution(write: Write) -> None:
    # Each file answers 18 pictures; the first four have ever more of the classes right.
    counts = read_toml(manifests_dir() / "training/votes/003-by-validation.toml")["known"]
    order = np.argsort(counts)[::-1]
    files, scores = [], {}
    for number in range(4):
        answers = [int(order[k % (4 * number + 2)]) for k in range(18)]
        rows = "".join(f"{k}.jpg,{answer}\n" for k, answer in enumerate(answers))
        files.append(write(f"m{number}.csv", "ImageID,ans\n" + rows))
        scores[f"m{number}"] = 1 - number / 10
    by_score = facecrop.vote(files, preset="003-by-leaderboard", scores=scores)
    assert [voter.votes for voter in by_score.voters] == [True, True, True, False]
    by_shares = facecrop.vote(files, preset="003-by-validation")
    distances = [voter.distance for voter in by_shares.voters]
    assert None not in distances
    worst = int(np.argmax(np.array(distances, float)))
    assert [voter.votes for voter in by_shares.voters] == [n != worst for n in range(4)]
    assert sum(counts) == 18_900


def test_a_preset_finds_its_members_in_a_folder_or_says_which_is_missing(tmp_path: Path) -> None:
    for number, name in enumerate(("003-a-mixup", "003-a-custom-cutmix")):
        (tmp_path / f"{name}.csv").write_text(f"ImageID,ans\nx,{number}\n")
    with pytest.raises(ConfigError, match="no predictions of the member '003-a-c-rembg'"):
        facecrop.vote([tmp_path], preset="003-final")
    (tmp_path / "mine.csv").write_text("ImageID,ans\nx,1\n")
    named = f"003-a-c-rembg={tmp_path / 'mine.csv'}"
    assert facecrop.vote([tmp_path, named], preset="003-final").said.classes.tolist() == [1]
