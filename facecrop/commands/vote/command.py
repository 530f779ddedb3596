"""Let the predictions of several models decide together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecrop.commands.vote.members import find_members, find_scores
from facecrop.config import find_manifest, read_toml, validate
from facecrop.errors import ConfigError
from facecrop.training import agreement as alike
from facecrop.training import vote as voting
from facecrop.training.prediction_files import read_predictions, read_truth, write_predictions
from facecrop.training.predictions import Predictions
from facecrop.training.settings.vote import VoteSettings
from facecrop.training.submission import write_submission

PRESETS = "training/votes"
"""Where the shipped votes lie below `manifests/`."""

_OTHER_REASONS = 0.005
"""Share of answers that differ from the most probable class beyond what rounding explains."""


@dataclass(frozen=True, slots=True)
class Voter:
    """One of those who were asked.

    Args:
        name: What it is called.
        file: Where its predictions are.
        votes: Whether it was chosen.
        weight: How much its vote counts, if it was.
        score: Macro-F1, where known.
        distance: Total variation distance of its answers from the known distribution, if any.
        agreement: Share of pictures on which it answers as the vote does.
    """

    name: str
    file: Path
    votes: bool
    weight: float
    score: float | None
    distance: float | None
    agreement: float


@dataclass(frozen=True, slots=True)
class VoteResult:
    """What came of a vote.

    Args:
        said: The outcome.
        how: `hard` or `soft`.
        by_label: Whether each label was voted on alone.
        voters: Everybody asked, in the order named.
        agreements: (M + 1, M + 1) share of pictures on which two agree; the last is the outcome.
        f1: Macro-F1 of the outcome, where the truth was given.
        accuracy: Likewise.
        estimates: What members without a score, and the outcome, may score.
        written: Files.
        warnings: What a user should know.
    """

    said: Predictions
    how: str
    by_label: bool
    voters: tuple[Voter, ...]
    agreements: NDArray[np.float64]
    f1: float | None = None
    accuracy: float | None = None
    estimates: tuple[alike.Estimate, ...] = ()
    written: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def vote(
    members: Sequence[str | Path],
    *,
    preset: str | None = None,
    how: str | None = None,
    by_label: bool = False,
    weights: Mapping[str, float] | None = None,
    weigh_by_score: bool = False,
    scores: Path | Mapping[str, float] | None = None,
    top: int | None = None,
    closest: int | None = None,
    known: Path | None = None,
    prior_correction: float | None = None,
    truth: Path | None = None,
    estimate: bool = False,
    out: Path | None = None,
    submission: Path | None = None,
) -> VoteResult:
    """Let the predictions of several models decide together.

    Args:
        members: Files of predictions, or run folders, whose validation predictions are meant;
            `NAME=FILE` gives one a name. With a preset that names its members: folders in which
            their predictions lie, `<name>.csv`, `<name>.parquet` or `<name>/predictions.parquet`.
        preset: A shipped vote (`manifests/training/votes`) or a TOML file.
        how: `hard` or `soft`.
        by_label: Vote on each label alone.
        weights: Of members, by name; 1 where not named.
        weigh_by_score: A vote counts as much as its member scored.
        scores: By name; or a CSV file `member,score`; or a folder of runs, in which each member's
            macro-F1 on its own validation predictions is looked up.
        top: Only so many members vote, those with the best scores.
        closest: Only so many vote, whose answers are distributed most like `known`.
        known: A dataset or a file of answers, whose classes are as common as they are expected.
        prior_correction: Soft voting divides by the known shares to this power before it chooses.
        truth: A dataset or a file of true labels; members and outcome are scored by it.
        estimate: Estimate the scores of members without one, and of the outcome.
        out: Predictions are written here, `.csv` or `.parquet`.
        submission: `ImageID,ans` is written here.

    Raises:
        FacecropError: Something the user can mend; nothing is written.
    """
    settings = _settings(
        preset,
        how=how,
        by_label=by_label or None,
        weigh_by_score=weigh_by_score or None,
        top=top,
        closest=closest,
        prior_correction=prior_correction,
    )
    files = find_members(members, settings)
    asked = voting.aligned([read_predictions(file, name) for name, file in files.items()])
    true = None if truth is None else read_truth(truth)
    scored = find_scores(asked, settings, scores, true)
    shares = _known(settings, known)
    chosen = _chosen(asked, settings, scored, shares)
    worth = _weights(asked, settings, dict(weights or {}), scored)
    voters = [asked[number] for number in chosen]
    said = voting.vote(
        voters,
        settings.how,
        [worth[one.name] for one in voters],
        by_label=settings.by_label,
        divisor=_divisor(settings, shares),
    )
    matrix = alike.agreements([*asked, said])
    result = VoteResult(
        said=said,
        how=settings.how,
        by_label=settings.by_label or len({one.axes for one in voters}) > 1,
        voters=tuple(
            Voter(
                one.name,
                files[one.name],
                number in chosen,
                worth[one.name],
                scored.get(one.name),
                None if shares is None else voting.distance(one, shares),
                float(matrix[number, -1]),
            )
            for number, one in enumerate(asked)
        ),
        agreements=matrix,
        f1=None if true is None else alike.macro_f1(said, true),
        accuracy=None if true is None else alike.accuracy(said, true),
        warnings=tuple(_unlikely(voters)) if settings.how == "soft" else (),
        estimates=tuple(alike.estimate([*asked, said], scored)) if estimate else (),
        written=tuple(file for file in (out, submission) if file is not None),
    )
    if out is not None:
        write_predictions(said, out)
    if submission is not None:
        write_submission(said, submission)
    return result


def shipped_votes() -> dict[str, str]:
    """Return the names of the shipped votes with the first line of their comments."""
    folder = find_manifest("vote", "003-final", PRESETS).parent
    return {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for path in sorted(folder.glob("*.toml"))
    }


def _settings(preset: str | None, **given: object) -> VoteSettings:
    data = read_toml(find_manifest("vote", preset, PRESETS)) if preset else {}
    asked = {key: value for key, value in given.items() if value is not None}
    if {"top", "closest"} & asked.keys():  # another way to choose replaces the preset's
        data = {key: value for key, value in data.items() if key not in ("top", "closest")}
    return validate(VoteSettings, data | asked, f"vote {preset}" if preset else "vote")


def _known(settings: VoteSettings, file: Path | None) -> NDArray[np.float64] | None:
    if file is not None:
        return read_truth(file).shares()
    counts = np.array(settings.known, np.float64)
    return counts / counts.sum() if len(counts) else None


def _divisor(
    settings: VoteSettings, known: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    if not settings.prior_correction:
        return None
    if known is None:
        raise ConfigError("--prior-correction needs --known, a dataset or a file of answers")
    rarest = known[known > 0].min()  # a class that nobody had would win always
    return np.asarray(np.maximum(known, rarest) ** settings.prior_correction, np.float64)


def _unlikely(members: Sequence[Predictions]) -> Iterator[str]:
    """Say whose answers are often not their most probable class: soft voting cannot know why."""
    for one in members:
        other = (one.distribution().argmax(axis=1) != one.classes).mean()
        if other > _OTHER_REASONS:
            yield (
                f"{other:.1%} of the answers of {one.name!r} are not its most probable class, as "
                "when a training corrects for priors; soft voting goes by probabilities alone "
                "(see --prior-correction)"
            )


def _chosen(
    asked: Sequence[Predictions],
    settings: VoteSettings,
    scored: Mapping[str, float],
    known: NDArray[np.float64] | None,
) -> list[int]:
    """Return who votes, most trusted first."""
    if settings.top is not None:
        return voting.best([_score(one.name, scored) for one in asked], settings.top)
    if settings.closest is not None:
        if known is None:
            raise ConfigError("--closest needs --known, a dataset or a file of answers")
        return voting.closest(asked, known, settings.closest)
    return list(range(len(asked)))


def _weights(
    asked: Sequence[Predictions],
    settings: VoteSettings,
    given: Mapping[str, float],
    scored: Mapping[str, float],
) -> dict[str, float]:
    if unknown := sorted(given.keys() - {one.name for one in asked}):
        names = ", ".join(one.name for one in asked)
        raise ConfigError(f"there is no member {unknown[0]!r} to weigh; members are: {names}")
    worth = {one.name: 1.0 for one in asked}
    worth |= {one.name: one.weight for one in settings.members} | dict(given)
    if settings.weigh_by_score:
        worth = {name: weight * _score(name, scored) for name, weight in worth.items()}
    return worth


def _score(name: str, scored: Mapping[str, float]) -> float:
    if name not in scored:
        raise ConfigError(f"the score of {name!r} is not known: give --scores or --truth")
    return scored[name]
