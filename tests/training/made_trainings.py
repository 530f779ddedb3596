"""Datasets whose labels a tiny network can see, and trainings that take a second."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from made_datasets import record, write_dataset
from torch import Tensor

from facecrop.commands.split import read_settings, split
from facecrop.commands.train.command import TrainResult, train
from facecrop.images.codec import encode
from facecrop.images.frames import Image
from facecrop.training.runs import Run
from facecrop.training.settings import TrainSettings
from facecrop.training.state import Checkpoints, Place, read_checkpoint

STEMS = {"mask1": "worn", "incorrect_mask": "incorrect", "normal": "none"}
AGES = (22, 45, 60)
SIDE = 32


def person(number: int) -> str:
    """A directory name; genders and age groups take turns."""
    gender = ("male", "female")[number % 2]
    return f"{number + 1:06d}_{gender}_Asian_{AGES[number % 3] - (number // 12) % 3}"


def picture(profile: str, stem: str) -> Image:
    """Colour is the gender, the place of a bar the mask, its width the age; and there is noise."""
    _, gender, _, age = profile.split("_")
    seed = int.from_bytes(sha256(f"{profile}/{stem}".encode()).digest()[:4], "big")
    image = np.random.default_rng(seed).integers(60, 100, (SIDE, SIDE, 3), np.uint8)
    image[..., 0 if gender == "male" else 2] += 100
    top = 2 + 10 * list(STEMS).index(stem)
    group = sum(int(age) >= cut for cut in (30, 55))
    image[top : top + 7, : 6 + 12 * group, 1] = 250
    return image


def write_learnable(out: Path, people: int = 24, **settings: Any) -> Path:
    """Write a dataset with crops, and split it by people: `default`, with the settings given."""
    rows, crops = [], {}
    for profile in map(person, range(people)):
        for stem in STEMS:
            row = record(profile, stem)
            pixels = crops[str(row["path"])] = picture(profile, stem)
            rows.append(row | {"image_sha256": sha256(encode(pixels, "png", 95)).digest()})
    write_dataset(out, rows, crops)
    split(out, settings=read_settings({"val_fraction": 0.25, **settings}))
    return out


def tiny(**groups: dict[str, Any]) -> TrainSettings:
    """Settings of a training that takes a second: some changed, by group."""
    data: dict[str, dict[str, Any]] = {
        "input": {"size": [SIDE, SIDE]},
        "model": {"pretrained": False},
        "optim": {"epochs": 3, "batch_size": 8, "lr": 3e-3},
    }
    for group, changes in groups.items():
        data[group] = data.get(group, {}) | changes
    return TrainSettings.model_validate(data)


def trained(out: Path, settings: TrainSettings | None = None, **options: Any) -> TrainResult:
    """Train on the CPU."""
    return train(out, preset=settings or tiny(), **({"device": "cpu"} | options))


def last(run: Path) -> tuple[Place, dict[str, Any]]:
    """Return where a training stands, and its tensors."""
    saved = Checkpoints(Run(run).checkpoints).load()
    assert saved is not None
    return saved


def weights(run: Path) -> dict[str, Tensor]:
    """Return the weights after the last step."""
    found: dict[str, Tensor] = last(run)[1]["learner"]["model"]
    return found


def best(run: Path) -> dict[str, Any]:
    """Return the best checkpoint."""
    return read_checkpoint(Checkpoints(Run(run).checkpoints).best)


def differences(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Return the names of tensors that are not equal bit by bit."""
    assert one.keys() == other.keys()
    return [name for name in one if not one[name].equal(other[name])]


def furthest(one: dict[str, Tensor], other: dict[str, Tensor], only: Sequence[str] = ()) -> float:
    """Return the largest difference of any weight."""
    names = [name for name in one if not only or any(part in name for part in only)]
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in names)
