"""Where a network looks on many pictures: its answers, their heat, and how that is spread."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from facecrop.images.frames import Image
from facecrop.training.augment import normalise
from facecrop.training.explain.gradcam import WHOLE, grad_cam
from facecrop.training.explain.heat import Places
from facecrop.training.trained import Trained


@dataclass(frozen=True, slots=True)
class Looked:
    """What a network said about one question of one picture, and where it looked.

    Args:
        question: A label, or `class`.
        answer: Its most probable words.
        probability: Of these.
        heat: (H, W) float32, a sum of 1, or all zero.
        shares: Where the heat lies (`Places.shares`).
        areas: Where it would lie if it fell anywhere alike.
    """

    question: str
    answer: str
    probability: float
    heat: NDArray[np.float32]
    shares: dict[str, float]
    areas: dict[str, float]


def look(
    trained: Trained, pictures: Sequence[Image], places: Sequence[Places], questions: Sequence[str]
) -> list[tuple[Looked, ...]]:
    """Ask a network about some pictures and see where it looks.

    Args:
        trained: The model.
        pictures: (N) inputs of its size, (H, W, 3) uint8.
        places: (N) what is where in each.
        questions: Of `gradcam.questions`.

    Returns:
        For each picture, what was said and seen about each question.
    """
    stacked = torch.from_numpy(np.stack(pictures)).to(trained.device).permute(0, 3, 1, 2)
    images = normalise(stacked, trained.mean, trained.std)
    by_question = [list(_asked(trained, images, places, question)) for question in questions]
    return list(zip(*by_question, strict=True))


def _asked(
    trained: Trained, images: torch.Tensor, places: Sequence[Places], question: str
) -> Iterator[Looked]:
    heat, answer = grad_cam(trained.model, trained.task, images, question)
    if question == WHOLE:
        shares = answer.log_joint.detach().exp()
        words = [" ".join(answer.space.decode(n).values()) for n in range(shares.shape[1])]
    else:
        shares = answer.probabilities[question].detach()
        words = list(dict(answer.space.axes)[question])
    best = shares.max(dim=1)
    for number, place in enumerate(places):
        one = heat[number].cpu().numpy()
        yield Looked(
            question,
            words[int(best.indices[number])],
            float(best.values[number]),
            one,
            place.shares(one),
            place.areas(),
        )
