"""Tasks, labels, and what an untrained network would say."""

import pyarrow as pa
import torch
from torch import Tensor

from facecrop.index import GENDERS, MASKS
from facecrop.labels.ages import OFFICIAL, AgePolicy
from facecrop.training.settings import TrainSettings
from facecrop.training.task import Task

AXES = ("mask", "gender", "age_group")
AT_58 = AgePolicy(name="threshold-58", cuts=(30, 58))
HOW_AGE_IS_LEARNT = {"regression": "smooth-l1", "coral": "ordinal", "distribution": "cross-entropy"}


def a_task(
    heads: str = "one-way",
    age: str = "classes",
    *,
    axes: tuple[str, ...] = AXES,
    tau: float = 0,
    policy: AgePolicy = OFFICIAL,
    age_range: tuple[int, int] = (0, 100),
) -> Task:
    model = {"heads": heads, "age": age, "age_range": age_range}
    sections = {"model": model, "select": {"prior_correction": tau}}
    if age in HOW_AGE_IS_LEARNT:
        sections["loss"] = {"age_group": [{"name": HOW_AGE_IS_LEARNT[age]}]}
    return Task(TrainSettings.model_validate(sections), policy, axes)


def some_labels(
    policy: AgePolicy = OFFICIAL, ages: tuple[int | None, ...] = (20, 58, 60)
) -> pa.Table:
    years = pa.array(ages, pa.int32())
    words = range(len(ages))
    return pa.table(
        {
            "mask": pa.array([MASKS[i % 3] for i in words], pa.string()),
            "gender": pa.array([GENDERS[i // 3 % 2] for i in words], pa.string()),
            "age": years,
            "age_group": policy.groups(years),
            "official_group": OFFICIAL.groups(years),
        }
    )


def what_a_net_says(
    task: Task, records: int = 5, scale: float = 1, seed: int = 0
) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    said = {
        output: scale * torch.randn((records, width), generator=chance)
        for output, width in task.outputs.items()
    }
    if task.outputs.get("age") == 1:
        said["age"] = 40 + 15 * said["age"]
    return said
