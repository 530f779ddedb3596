"""How well the audit finds planted label errors, against plain cleanlab and an ideal audit.

Run:
    python benchmarks/suspects.py --observer [--profiles 300] [--seeds 5] [--noise 0.5]
    python benchmarks/suspects.py --train [--profiles 300] [--seeds 5] [--set optim.epochs=20]
        [--folder KEPT]
    python benchmarks/suspects.py --utkface FOLDER [--folder KEPT]

`--observer` makes up what models say from the drawn people's cues: seconds. `--train` draws the
pictures and trains `small` on all folds, each seed once: what is in the folder is used again, so
it goes on where it was stopped. `--utkface` trains on real faces, or uses the finished run of
`benchmarks/utkface.py`, and asks whether those of byte-identical pictures with contradicting labels
are among the suspects.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from planted import make_dataset, train_once
from suspects_drawn import GROUPS, NAMES, Floats, Reader, draw_plans, write_simulated
from suspects_faces import judge_faces

from facecrop.checks import age_suspects, gender_suspects, mask_suspects
from facecrop.checks.check import Check
from facecrop.checks.material import Limits, Material
from facecrop.demo.faults import SWAPPED, WRONG_AGE, WRONG_GENDER, Plan
from facecrop.demo.observer import age_gender_posterior, posteriors
from facecrop.demo.people import AGES, COUNTS, CUES, FILES
from facecrop.index import AGE_GROUPS, GENDERS, MASKS
from facecrop.labels.ages import OFFICIAL

try:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import average_precision_score
except ModuleNotFoundError:
    sys.exit('the baseline is cleanlab: pip install "facecrop[audit]"')

RATES = {WRONG_GENDER: 0.05, WRONG_AGE: 0.05, SWAPPED: 0.03}
AXES = {WRONG_GENDER: ("gender", GENDERS), WRONG_AGE: ("age_group", AGE_GROUPS)}
CHECKS: dict[str, Check] = {
    WRONG_GENDER: gender_suspects.CHECK,
    WRONG_AGE: age_suspects.CHECK,
    SWAPPED: mask_suspects.SWAPPED,
}
PICTURES = {
    WRONG_GENDER: ("mask1", "normal"),
    WRONG_AGE: ("mask1", "normal"),
    SWAPPED: ("incorrect_mask", "normal"),
}
_Z = 1.96
_FAR_YEARS = 10

Flags = NDArray[np.bool_]


@dataclass
class Found:
    """What one way of looking finds, over P people of all seeds."""

    scores: list[Floats]
    flags: list[Flags]
    truth: list[Flags]

    def row(self, name: str) -> str:
        flags, truth = np.concatenate(self.flags), np.concatenate(self.truth)
        hits = int((flags & truth).sum())
        precision, recall = interval(hits, int(flags.sum())), interval(hits, int(truth.sum()))
        ranked = [
            average_precision_score(wrong, score)
            for wrong, score in zip(self.truth, self.scores, strict=True)
            if wrong.any()
        ]
        area = f"{np.mean(ranked):.3f} [{min(ranked):.3f}, {max(ranked):.3f}]" if ranked else "-"
        return f"  {name:34s} {precision}  {recall}  {area}  {int(flags.sum())}/{int(truth.sum())}"


def interval(hits: int, total: int) -> str:
    """Return a share with Wilson's 95 % interval."""
    if not total:
        return "  -                   "
    share = hits / total
    middle = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half = _Z / (1 + _Z**2 / total) * np.sqrt(share * (1 - share) / total + (_Z / total) ** 2 / 4)
    return f"{share:.3f} [{middle - half:.3f}, {middle + half:.3f}]"


class Tables:
    """Collects and prints what each way finds of each fault."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Found]] = {}

    def add(self, fault: str, way: str, scores: Floats, flags: Flags, truth: Flags) -> None:
        here = self.found.setdefault(fault, {}).setdefault(way, Found([], [], []))
        here.scores.append(scores)
        here.flags.append(flags)
        here.truth.append(truth)

    def show(self) -> None:
        for fault, ways in self.found.items():
            print(f"{fault:36s} {'precision':21s}  {'recall':21s}  area [least, most] found/true")
            for way, found in ways.items():
                print(found.row(way))


def said_by(material: Material) -> pa.Table:
    if material.predictions is None:
        raise SystemExit(f"{material.out} has no run")
    return material.predictions


def ours(material: Material, fault: str, names: Sequence[str]) -> tuple[Floats, Flags]:
    """Return the audit's score of each profile, and whether it is above the default threshold."""
    limits = Limits(suspect=1e-9)  # all scores, for the ranking
    every = Material(material.out, run=material.run, limits=limits)
    place = {name: number for number, name in enumerate(names)}
    scores = np.zeros(len(names))
    for issue in CHECKS[fault].find(every):
        if fault == SWAPPED and sorted(path.rpartition("/")[2] for path in issue.paths) != [
            "incorrect_mask.jpg",
            "normal.jpg",
        ]:
            continue
        scores[place[issue.profile]] = max(issue.score, scores[place[issue.profile]])
    flags = np.zeros(len(names), bool)
    for issue in CHECKS[fault].find(material):
        flags[place[issue.profile]] = True
    return scores, flags


def plain(material: Material, fault: str, plans: list[Plan], stem: str) -> tuple[Floats, Flags]:
    """Return what cleanlab says of one picture of each profile, from the same probabilities."""
    axis, words = AXES.get(fault, ("mask", MASKS))
    table = said_by(material)
    columns = {f"p_{axis}_{word}": "mean" for word in words}
    means = table.group_by("path").aggregate(list(columns.items()))
    rows = {path: row for row, path in enumerate(means["path"].to_pylist())}
    shares = np.stack([means[f"{name}_mean"].to_numpy() for name in columns], axis=1)

    def of(stem: str) -> Floats:
        shown = [rows[f"{one.directory}/{stem}.jpg"] for one in plans]
        return np.asarray(shares[shown] / shares[shown].sum(axis=1, keepdims=True), np.float64)

    if fault == SWAPPED:  # a class of masks has other pictures too: cleanlab needs all of them
        p = np.concatenate([of(name) for name in NAMES])
        labels = np.repeat([MASKS.index(FILES[name]) for name in NAMES], len(plans))
        part = slice(NAMES.index(stem) * len(plans), (NAMES.index(stem) + 1) * len(plans))
    else:
        said = {
            WRONG_GENDER: lambda one: one.gender,
            WRONG_AGE: lambda one: OFFICIAL.group(one.age),
        }
        p = of(stem)
        labels = np.array([words.index(said[fault](one)) for one in plans])
        part = slice(None)
    return 1 - get_label_quality_scores(labels, p)[part], find_label_issues(labels, p)[part]


def ideal(fault: str, plans: list[Plan]) -> tuple[Floats, Flags]:
    """Return Bayes' answer from the true probabilities of all cues, and the true rates."""
    rate = RATES[fault]
    people = [one.person for one in plans]
    cues = np.array([person.cues for person in people])
    both = age_gender_posterior(cues, np.ones((len(people), len(CUES)), bool))
    if fault == WRONG_GENDER:
        given = np.array([GENDERS.index(one.gender) for one in plans])
        own = both.sum(axis=2)[np.arange(len(plans)), given]
        score = rate * (1 - own) / (rate * (1 - own) + (1 - rate) * own)
    elif fault == WRONG_AGE:
        year = both.sum(axis=1)
        given = np.array([one.age for one in plans]) - AGES[0]
        wrong = (year * _wrong_ages()[:, given].T).sum(axis=1) * rate
        right = year[np.arange(len(plans)), given] * (1 - rate)
        score = wrong / np.maximum(wrong + right, 1e-300)
    else:
        joint = posteriors(people).picture
        mask = joint.reshape(len(plans), len(NAMES), len(MASKS), -1).sum(axis=3)
        struck = np.array([SWAPPED in one.faults for one in plans])
        pair = mask[:, [NAMES.index("incorrect_mask"), NAMES.index("normal")]]
        pair[struck] = pair[struck][:, ::-1]
        as_given = pair[:, 0, 1] * pair[:, 1, 2] * (1 - rate)
        exchanged = pair[:, 0, 2] * pair[:, 1, 1] * rate
        score = exchanged / np.maximum(as_given + exchanged, 1e-300)
    return score, score > 0.5


def _wrong_ages() -> Floats:
    """Return (43, 43): how a wrong age is drawn, `faults.wrong_age_for`, by the true one."""
    usual = COUNTS.sum(axis=0).astype(float)
    far = np.abs(AGES[:, None] - AGES) >= _FAR_YEARS
    allowed = far & (GROUPS[:, None] != GROUPS)
    weights = usual * allowed
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


def compare(material: Material, plans: list[Plan], tables: Tables) -> None:
    """Add what all ways find in one dataset."""
    names = [one.directory for one in plans]
    for fault in RATES:
        truth = np.array([fault in one.faults for one in plans])
        tables.add(fault, "facecrop audit", *ours(material, fault, names), truth)
        for stem in PICTURES[fault]:
            tables.add(fault, f"cleanlab on {stem}", *plain(material, fault, plans, stem), truth)
        tables.add(fault, "ideal observer", *ideal(fault, plans), truth)


def observer(profiles: int, seeds: int, reader: Reader) -> None:
    tables = Tables()
    for seed in range(seeds):
        with TemporaryDirectory() as folder:
            plans = draw_plans(profiles, 500 + seed, *RATES.values())
            run = write_simulated(Path(folder) / "out", plans, reader, seed)
            compare(Material(Path(folder) / "out", run=run), plans, tables)
    print(f"{profiles} profiles, {seeds} seeds pooled, simulated: {reader}")
    tables.show()


def trained(profiles: int, seeds: range, repeats: int, settings: Sequence[str], at: Path) -> None:
    tables = Tables()
    for seed in seeds:
        out = make_dataset(at / f"seed-{seed}-{profiles}", profiles, seed, RATES)
        run = train_once(out, "folds", settings, "--folds", "all", "--repeats", repeats)
        material = Material(out, run=run)
        plans = draw_plans(profiles, seed, *RATES.values())
        print(f"seed {seed}: {accuracies(material, plans)}", flush=True)
        compare(material, plans, tables)
    words = ", ".join(["small", *settings, f"{repeats} x all folds"])
    print(f"{profiles} profiles, {len(seeds)} seeds pooled: {words}")
    tables.show()


def accuracies(material: Material, plans: list[Plan]) -> str:
    """Return how often single out-of-fold predictions of gender and age are right."""
    table = said_by(material)
    person = {one.directory: one.person for one in plans}
    people = [person[name] for name in table["profile"].to_pylist()]
    told = [
        one.gender == said
        for one, said in zip(people, table["pred_gender"].to_pylist(), strict=True)
    ]
    text = f"gender {np.mean(told):.3f}"
    if "pred_age" in table.column_names:
        away = np.abs(table["pred_age"].to_numpy() - [one.age for one in people])
        text += f", age error {away.mean():.1f} years"
    return text


def utkface(folder: Path, work: Path | None, repeats: int | None, settings: Sequence[str]) -> None:
    found = judge_faces(folder, work, repeats, settings)
    print(found.model)
    for axis, share in found.accuracy.items():
        print(f"out-of-fold accuracy of {axis} on the labels as given: {share:.3f}")
    proven, differing = found.proven
    print(f"{proven} of {differing} sets of identical pictures that differ in gender or years are")
    print("named as provable; of these sets")
    print(f"{found.contradicting} differ in gender or age group;")
    print("with a member in the top 10 % of suspects:")
    for way, hits in found.hits.items():
        print(f"  {way:16s} {interval(hits, found.contradicting)}")


def main(arguments: argparse.Namespace) -> None:
    seeds, settings = arguments.seeds or 5, arguments.set
    if arguments.utkface is not None:
        utkface(arguments.utkface, arguments.folder, arguments.seeds, settings)
    elif arguments.train:
        first = arguments.first
        trained(
            arguments.profiles, range(first, first + seeds), arguments.repeats, settings,
            arguments.folder or Path("benchmarks/work/suspects"),
        )  # fmt: skip
    else:
        noise, repeats = arguments.noise, arguments.repeats
        reader = Reader(noise, noise, repeats=repeats, years=not arguments.groups)
        observer(arguments.profiles, seeds, reader)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--observer", action="store_true")
    mode.add_argument("--train", action="store_true")
    mode.add_argument("--utkface", type=Path)
    parser.add_argument("--profiles", type=int, default=300)
    parser.add_argument("--seeds", type=int, help="datasets, 5; trainings of each fold, --utkface")
    parser.add_argument("--first", type=int, default=500, help="the first seed, with --train")
    parser.add_argument("--folder", type=Path, help="of datasets and runs")
    parser.add_argument("--repeats", type=int, default=5, help="trainings of each fold")
    parser.add_argument("--noise", type=float, default=0.5, help="of the simulated reader")
    parser.add_argument("--groups", action="store_true", help="the reader knows no years")
    parser.add_argument("--set", action="append", default=[], help="a setting of the training")
    main(parser.parse_args())
