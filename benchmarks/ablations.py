"""What the wrap-ups of the task found to help or hurt, tried on drawn people, three seeds each.

    python benchmarks/ablations.py                        # train what is missing, print the table
    python benchmarks/ablations.py --only focal ldam-drw  # these arms and the base
    python benchmarks/ablations.py --trainings 0          # the table of what is there

Every arm of `ablations_arms.py` differs from the base in one thing. It is trained on drawn people
and scored on people of another seed, picture by picture, in the official bins, whatever it learnt.
Finished trainings are used again, so the program may be ended at any time and called again.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ablations_arms import ARMS, BASE, DATA, SETTINGS, Arm
from ablations_rule import RULE, Difference, compared, paired, pooled_deviation
from reuse import refuse_another, trained_run

from facecrop.commands.demo import demo
from facecrop.commands.predict.command import predict
from facecrop.commands.preprocess.command import preprocess
from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import split
from facecrop.commands.vote.command import vote
from facecrop.labels.certificate import split_files
from facecrop.labels.splits import SplitSettings
from facecrop.training.agreement import accuracy, macro_f1
from facecrop.training.prediction_files import read_predictions, read_truth
from facecrop.training.runs import open_run

LEARN, TEST = 1, 1001
LEAK = "random-split"


@dataclass(frozen=True, slots=True)
class Score:
    """One training, judged.

    Args:
        f1: Macro-F1 on people of another seed.
        accuracy: Likewise.
        val_f1: On its own validation records.
        val_accuracy: Likewise.
    """

    f1: float
    accuracy: float
    val_f1: float
    val_accuracy: float


Scores = dict[str, dict[int, Score]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything lies, and how much of it there is.

    Args:
        work: The folder.
        profiles: To learn from.
        test_profiles: To be judged by.
        changes: Settings of all trainings, on top of `SETTINGS`.
    """

    work: Path
    profiles: int
    test_profiles: int
    changes: tuple[str, ...]

    def learn(self, arm: Arm) -> Path:
        """Return the dataset that an arm learns from."""
        return self.work / f"learn{self.profiles}" / arm.data

    def test(self, arm: Arm) -> Path:
        """Return the dataset that it is judged by: other people, the same recipe."""
        return self.work / f"test{self.test_profiles}" / DATA[arm.data].pictures

    def said(self, name: str, seed: int) -> Path:
        """Return the file of what a training says of the people it is judged by."""
        return self.learn(ARMS[name]) / "runs" / f"{name}-{seed}" / "test.parquet"

    def settings(self, arm: Arm, seed: int) -> list[str]:
        """Return the settings of a training."""
        return [*SETTINGS, *arm.settings, *self.changes, f"seed={seed}"]


def main() -> None:
    """Train what is missing, as far as asked, and print the table."""
    asked = _arguments()
    names = list(dict.fromkeys([BASE, *(asked.only or ARMS)]))
    place = Place(asked.work, asked.profiles, asked.test_profiles, tuple(asked.set))
    left = asked.trainings
    for name in names:
        for seed in range(asked.seeds):
            if not place.said(name, seed).exists() and left:
                left -= 1
                _train(place, name, seed)
    show(place, {name: _scores(place, name, asked.seeds) for name in names}, asked.seeds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=list(ARMS), metavar="ARM", help="these arms")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each arm")
    parser.add_argument("--profiles", type=int, default=200, help="people to learn from")
    parser.add_argument("--test-profiles", type=int, default=300, help="people to be judged by")
    parser.add_argument("--trainings", type=int, default=-1, help="do at most so many now")
    parser.add_argument("--set", action="append", default=[], help="of all trainings; repeatable")
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work/ablations"))
    return parser.parse_args()


def _train(place: Place, name: str, seed: int) -> None:
    arm = ARMS[name]
    out, test = place.learn(arm), place.test(arm)
    began = time.perf_counter()
    _dataset(out, arm.data, place.profiles, LEARN, DATA[arm.data].policy)
    _dataset(test, arm.data, place.test_profiles, TEST, "official")
    if not split_files(out, arm.split)[0].exists():
        split(out, arm.split, SplitSettings(strategy=arm.split))
    made = time.perf_counter()
    run = trained_run(
        out, f"{name}-{seed}", preset="small", settings=place.settings(arm, seed), split=arm.split
    )
    predict([run.folder], test, out=place.said(name, seed), bins="official", workers=1)
    score = _score(place, name, seed)
    took = time.perf_counter() - made
    print(
        f"{name}-{seed}: macro-F1 {score.f1:.3f}, data {made - began:.0f} s, {took:.0f} s",
        flush=True,
    )


def _dataset(out: Path, data: str, profiles: int, seed: int, policy: str) -> None:
    """Draw people and make a dataset of them, if it is not there."""
    if (out / "images" / "metadata.parquet").exists():
        return
    raw = out.parent / "raw"
    out.parent.mkdir(parents=True, exist_ok=True)
    if not raw.exists():
        demo(raw, profiles=profiles, seed=seed)
    how = DATA[data]
    preprocess(raw, out, recipe=how.recipe, settings=how.changes, contact=False, workers=1)
    if policy != "official":
        relabel(out, set_policy=policy)


def _scores(place: Place, name: str, seeds: int) -> dict[int, Score]:
    there = [seed for seed in range(seeds) if place.said(name, seed).exists()]
    return {seed: _score(place, name, seed) for seed in there}


def _score(place: Place, name: str, seed: int) -> Score:
    said = read_predictions(place.said(name, seed))
    truth = read_truth(place.test(ARMS[name]))
    run = open_run(place.learn(ARMS[name]), f"{name}-{seed}")
    refuse_another(run, "small", place.settings(ARMS[name], seed))
    own = run.result()["scores"]
    return Score(
        macro_f1(said, truth), accuracy(said, truth), own["official_f1"], own["official_accuracy"]
    )


def show(place: Place, scores: Scores, seeds: int) -> None:
    """Print how it was done, and what came of it."""
    chosen = dict(one.split("=", 1) for one in [*SETTINGS, *place.changes])
    settings = " ".join(f"{key}={value}" for key, value in chosen.items())
    print(
        f"\n{place.profiles} drawn people to learn from (a fifth of them validation), "
        f"{place.test_profiles} others to be judged by, {seeds} seeds;\n"
        f"preset small with {settings}\n"
        f"base: {ARMS[BASE].about}\n"
        f"macro-F1 of the 18 official classes, single pictures; spread: deviation over seeds\n"
        f"{RULE}\n"
    )
    base = {seed: one.f1 for seed, one in scores[BASE].items()}
    pairs = {
        name: paired({seed: one.f1 for seed, one in arm.items()}, base)
        for name, arm in scores.items()
        if name != BASE
    }
    pooled = pooled_deviation(list(pairs.values()))
    print(f"{'':11} {'':36} macro-F1  spread  difference  2 x error  verdict")
    for name, arm in scores.items():
        found = None if name == BASE else compared(pairs[name], pooled)
        print(_row(ARMS[name], [one.f1 for one in arm.values()], found))
    for line in (*_leak(scores), *_votes(place, scores)):
        print(line)


def _row(arm: Arm, f1: Sequence[float], found: Difference | None) -> str:
    words = f"{arm.part:11} {'' if arm is ARMS[BASE] else arm.about:36}"
    if not f1:
        return f"{words} not trained"
    spread = f"{np.std(f1, ddof=1):6.3f}" if len(f1) > 1 else "     -"
    words += f" {np.mean(f1):8.3f}  {spread}"
    if found is None:
        return words
    against = _against(arm, found)
    words += f"  {found.mean:+10.3f}  {2 * found.error:9.3f}  {found.verdict}{against}"
    return f"{words}\n{'':11}   {arm.reported}" if arm.reported else words


def _against(arm: Arm, found: Difference) -> str:
    """Say how a verdict agrees with what was reported."""
    if arm.way == "-" or found.verdict not in ("better", "worse"):
        return ""
    return ", as reported" if arm.way == found.verdict else ", against the report"


def _leak(scores: Scores) -> Iterator[str]:
    """Yield how far validation is above unseen people, for splits by person and by image."""
    if not all(scores.get(name) for name in (BASE, LEAK)):
        return
    yield "\nleak                   validation  unseen    leak"
    for what, own in (("f1", "val_f1"), ("accuracy", "val_accuracy")):
        gaps = {}
        for name, words in ((BASE, "split by person"), (LEAK, "split by image")):
            val, unseen = (
                {seed: getattr(one, key) for seed, one in scores[name].items()}
                for key in (own, what)
            )
            gaps[name] = {seed: val[seed] - unseen[seed] for seed in val}
            means = (np.mean(list(one.values())) for one in (val, unseen, gaps[name]))
            yield f"{words + ',':16} {what:8}" + " {:9.3f}  {:6.3f}  {:+.3f}".format(*means)
        more = compared(paired(gaps[LEAK], gaps[BASE]), float("nan"))
        yield f"  by image more than by person: {more.mean:+.3f} (2 x error {2 * more.error:.3f})"


def _votes(place: Place, scores: Scores) -> Iterator[str]:
    """Yield what voting over the seeds of one arm does; the pairs are the arms."""
    asked: dict[str, dict[str, float]] = {"one": {}, "hard": {}, "soft": {}}
    for name, arm in scores.items():
        if len(arm) < 3:
            continue
        files = [f"{name}-{seed}={place.said(name, seed)}" for seed in arm]
        for how in ("hard", "soft"):
            f1 = vote(files, how=how, truth=place.test(ARMS[name])).f1
            asked[how][name] = float("nan") if f1 is None else f1
        asked["one"][name] = float(np.mean([one.f1 for one in arm.values()]))
    if len(asked["one"]) < 2:
        return
    means = {how: np.mean(list(of.values())) for how, of in asked.items()}
    yield f"\nvoting of the seeds of one arm, {len(asked['one'])} arms"
    yield "macro-F1: one model {one:.3f}, hard vote {hard:.3f}, soft vote {soft:.3f}".format(
        **means
    )
    for what, one, other in (("hard - one model", "hard", "one"), ("soft - hard", "soft", "hard")):
        found = compared(
            [asked[one][name] - asked[other][name] for name in asked[one]], float("nan")
        )
        yield f"  {what:17} {found.mean:+.3f} (2 x error {2 * found.error:.3f})  {found.verdict}"
    yield "  000: hard voting F1 0.758 -> 0.766; 003: three models 0.787"


if __name__ == "__main__":
    main()
