"""What is compared: each arm differs from the base, or from the arm that it names, in one thing."""

from dataclasses import dataclass
from typing import Literal

Way = Literal["better", "worse", "-"]

BASE = "base"


@dataclass(frozen=True, slots=True)
class Data:
    """A dataset that arms are trained on.

    Args:
        recipe: Of the crops.
        changes: Settings of the recipe.
        policy: The age policy.
    """

    recipe: str
    changes: tuple[str, ...] = ()
    policy: str = "official"

    @property
    def pictures(self) -> str:
        """What its crops are called; datasets that differ in labels alone share it."""
        words = [
            self.recipe,
            *(change.replace(".", "-").replace("=", "-") for change in self.changes),
        ]
        return "-".join(words)


DATA = {
    "face": Data("embedded"),
    "drop-57-59": Data("embedded", policy="drop-57-59"),
    "background": Data("embedded", ("render.background.mode=keep",)),
    "center": Data("center-crop"),
}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train.

    Args:
        part: Of the table.
        about: What it is, in a few words.
        settings: Of the training, on top of the base's.
        data: Name in `DATA`.
        split: Strategy.
        reported: What the wrap-ups of the task say of it, against what it is compared with.
        way: The same in a word; `-` where they say nothing, or both.
    """

    part: str
    about: str
    settings: tuple[str, ...] = ()
    data: str = "face"
    split: str = "stratified"
    reported: str = ""
    way: Way = "-"


SETTINGS = (
    "input.size=[64,64]",
    "model.heads=one-way",
    "model.age=classes",
    "select.prior_correction=0",
    "select.by_person=false",
    "optim.epochs=10",
)
"""Of all arms, on top of the preset `small`: the 18 classes and plain cross-entropy, as most of the
wrap-ups have them, and no prior correction, which would do what losses for imbalance do."""


def _terms(text: str) -> tuple[str, ...]:
    return (f"loss.terms=[{text}]",)


def _mix(text: str) -> tuple[str, ...]:
    return (f"augment.mix=[{{{text}}}]",)


ARMS = {
    BASE: Arm(
        "base",
        "one head of 18 classes, cross-entropy, face crop without background, split by person",
    ),
    "random-split": Arm(
        "split", "split by image", split="random",
        reported="001: validation 97 %, leaderboard below 90",
    ),
    "drop-57-59": Arm(
        "age policy", "ages 57 to 59 not learnt from", data="drop-57-59",
        reported="003: F1 0.796 -> 0.846 where they were left out of validation too; test up",
        way="better",
    ),
    "three-way": Arm(
        "heads", "a head for each label", ("model.heads=three-way",),
        reported="003: F1 0.895 -> 0.884; 004: 18 classes better", way="worse",
    ),
    "background": Arm(
        "background", "face crop, background left in", data="background",
        reported="002, 003: background out helps", way="worse",
    ),
    "center-crop": Arm(
        "background", "centre crop, background left in", data="center",
        reported="003: F1 0.864, face and background out 0.918", way="worse",
    ),
    "weighted": Arm(
        "loss", "cross-entropy, weighted 1 / n", _terms('{name="cross-entropy",classes="inverse"}'),
        reported="002: tried", way="-",
    ),
    "focal": Arm(
        "loss", "focal, gamma 2", _terms('{name="focal",gamma=2}'),
        reported="000, 003: used; 004: improved", way="better",
    ),
    "f1-focal": Arm(
        "loss", "soft F1 + focal, gamma 5", _terms('{name="soft-f1"},{name="focal",gamma=5}'),
        reported="000: made its best model; 002: F1 better than focal", way="better",
    ),
    "ldam-drw": Arm(
        "loss", "LDAM, re-weighted from epoch 7 on",
        _terms('{name="ldam",max_margin=0.5,scale=30,reweight_from=7}'),
        reported="002: best on imbalance", way="better",
    ),
    "class-balanced": Arm(
        "loss", "class-balanced, beta 0.999", _terms('{name="class-balanced",beta=0.999}'),
    ),
    "mixup": Arm(
        "mix", "mixup, every third batch", _mix('name="mixup",p=0.333'),
        reported="004: best of its mixes", way="better",
    ),
    "mixup-sixties": Arm(
        "mix", "mixup among the sixties of a gender",
        _mix('name="mixup",p=1,per="picture",lam=0.5,labels=["old"],same=["mask","gender"]'),
        reported="003: F1 0.846 -> 0.879, its fakes in validation", way="better",
    ),
    "mixup-eyes": Arm("mix", "mixup of the eye region", _mix('name="mixup",p=0.5,region="eyes"')),
    "cutmix-box": Arm(
        "mix", "CutMix, random box", _mix('name="cutmix",p=0.5'),
        reported="003: validation up, test down; 004: better than eyes",
    ),
    "cutmix-half": Arm(
        "mix", "CutMix, right half", _mix('name="cutmix",p=0.5,region="half"'),
        reported="003: F1 0.864 -> 0.895, test up", way="better",
    ),
    "cutmix-upper": Arm(
        "mix", "CutMix, upper half", _mix('name="cutmix",p=0.5,region="upper"'),
        reported="004: tried",
    ),
    "cutmix-lower": Arm(
        "mix", "CutMix, lower half", _mix('name="cutmix",p=0.5,region="lower"'),
        reported="004: tried",
    ),
    "cutmix-eyes": Arm(
        "mix", "CutMix, eyes from the index", _mix('name="cutmix",p=0.5,region="eyes"'),
        reported="004: worse than a random box",
    ),
    "cutmix-face": Arm(
        "mix", "CutMix, face from the index", _mix('name="cutmix",p=0.5,region="face"'),
        reported="004: wished for",
    ),
}  # fmt: skip
"""By name, the most telling first: whoever is cut off has these."""
