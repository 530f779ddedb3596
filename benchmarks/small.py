"""How good the preset `small` gets, as a share of what an ideal observer of the drawn people does.

    python benchmarks/small.py                       # 300 people to learn from, three trainings
    python benchmarks/small.py --profiles 2000 --trainings 3 --set optim.epochs=30

Draws people, makes the dataset, trains under the age policy threshold-58, and predicts 1,000
people of another seed, in the age groups of that policy and in the official ones. Every step is
the command that a user types.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from planted import facecrop

from facecrop.demo.observer import macro_f1, scores
from facecrop.demo.people import draw_person
from facecrop.labels.ages import AgePolicy, shipped_policies
from facecrop.labels.space import MASK_TASK

LEARN, TEST = 1, 1001
POLICY = "threshold-58"


def main() -> None:
    """Print the table."""
    asked = _arguments()
    folder = asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    learn, test = folder / f"learn{asked.profiles}", folder / f"test{asked.test_profiles}"
    spent = _dataset(learn, asked.profiles, LEARN)
    _dataset(test, asked.test_profiles, TEST)
    out = learn / "dataset"
    facecrop("relabel", out, "--set-policy", POLICY)
    facecrop("split", out)
    policies = shipped_policies()
    people = [draw_person(TEST, number) for number in range(asked.test_profiles)]
    rows = []
    for seed in range(asked.trainings):
        run = out / "runs" / f"small-{seed}"
        took = 0.0
        if not (run / "predictions.parquet").exists():
            chosen = [f"--set={one}" for one in [f"seed={seed}", *asked.set]]
            took = facecrop("train", out, "--preset", "small", "--name", run.name, *chosen)
        for bins, policy in (("official", policies["official"]), ("policy", policies[POLICY])):
            for how in ((), ("--by-person",)):
                file = folder / "said.parquet"
                facecrop(
                    "predict", run, test / "dataset", "--out", file, "--tta", "flip",
                    "--bins", bins, *how,
                )  # fmt: skip
                ideal = scores(people, policy.cuts)
                best = ideal.person if how else ideal.picture
                got = _score(file, test, policy)
                rows.append([seed, policy.name, "person" if how else "picture", got, best, took])
    print(f"\n{asked.profiles} people to learn from; draw, preprocess: {spent:.0f} s")
    print("seed  bins          by       macro-F1  ideal  share  training")
    for seed, name, how, got, best, took in rows:
        words = f"{seed:4}  {name:12}  {how:7}  {got:8.3f}  {best:5.3f}  {got / best:5.3f}"
        print(f"{words}  {took:6.0f} s")
    for name, how in dict.fromkeys((row[1], row[2]) for row in rows):
        shares = [row[3] / row[4] for row in rows if (row[1], row[2]) == (name, how)]
        print(f"share of the ideal, {name}, by {how}: mean {np.mean(shares):.3f}, "
              f"least {min(shares):.3f}")  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--profiles", type=int, default=300)
    parser.add_argument("--test-profiles", type=int, default=1000)
    parser.add_argument("--trainings", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/work/small"))
    parser.add_argument("--set", action="append", default=[], help="of the training; repeatable")
    return parser.parse_args()


def _dataset(place: Path, profiles: int, seed: int) -> float:
    """Draw people and make a dataset of them; return the seconds it took, 0 if it was there."""
    if (place / "dataset" / "images" / "metadata.parquet").exists():
        return 0.0
    place.mkdir(exist_ok=True)
    raw = place / "raw"
    spent = facecrop("demo", raw, "--profiles", profiles, "--seed", seed)
    return spent + facecrop("preprocess", raw, place / "dataset")


def _score(file: Path, test: Path, policy: AgePolicy) -> float:
    """Return the macro-F1 over the 18 classes, against the labels that were drawn."""
    said = pq.read_table(file)
    labels = pq.read_table(test / "dataset" / "labels.parquet")
    if said["path"].to_pylist() != labels["path"].to_pylist():
        raise SystemExit(f"{file} does not answer the records of {test}")
    groups = policy.groups(labels["age"].combine_chunks())
    place = labels.schema.get_field_index("age_group")
    truth = MASK_TASK.encode_table(labels.set_column(place, "age_group", pa.chunked_array(groups)))
    return macro_f1(truth.astype(np.int64), said["class"].to_numpy().astype(np.int64))


if __name__ == "__main__":
    main()
