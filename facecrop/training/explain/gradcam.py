"""Grad-CAM: which places of a picture speak for an answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from facecrop.errors import ConfigError
from facecrop.training.answer import Answer
from facecrop.training.models.heat import grad_cam_layer, spatial
from facecrop.training.models.network import Model
from facecrop.training.task import Task

WHOLE = "class"
"""The question of all labels together."""


def questions(task: Task) -> tuple[str, ...]:
    """Return what can be asked: each label, and all together where there are several."""
    return (*task.axes, WHOLE) if len(task.axes) > 1 else task.axes


def grad_cam(
    model: Model, task: Task, images: Tensor, question: str, classes: Tensor | None = None
) -> tuple[Tensor, Answer]:
    """Say where in each picture a network sees what speaks for an answer.

        cam = relu( sum over channels c of a_c * maps_c ),  a_c = mean over places of d y / d maps_c

    where `maps` are the last of the trunk and `y` is the log-odds of the answer,
    log p(answer) - log p(anything else): the same for every head, be it of one label, of all in
    one, or of years. Where labels have networks of their own, all of them together are explained by
    the mean of the networks' maps.

    Args:
        model: Its mode, weights and gradients are left alone.
        task: Reads its outputs.
        images: (N, 3, H, W) float32, normalised, on the model's device.
        question: A label, or `class`.
        classes: (N,) int64, which answers to explain; None: the network's own, most probable ones.

    Returns:
        (N, H, W) float32 not negative, sums of 1 (all zero where nothing speaks for the answer),
        and what the network says of the pictures, without prior correction.

    Raises:
        ConfigError: There is no such question, or the trunk says no place.

    Source:
        Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
        Localization", eq. 1 and 2, arXiv:1610.02391. Their y is the class's logit; log-odds also
        take off what speaks for the others, so that a sum added to all logits, which changes no
        answer, explains nothing. Its gradient does not vanish where the network is sure.
    """
    if question not in questions(task):
        raise ConfigError(
            f"there is no label {question!r} to explain; choose from: {', '.join(questions(task))}"
        )
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad(), _listening(model) as said:
            # A frozen trunk has no gradients of its own: they are asked for from the pictures on.
            answer = task.answer(model(images.detach().requires_grad_()))
            odds = _odds(answer, question, classes)
            maps = [(trunk, said[name]) for name, trunk in _asked(model, task, question).items()]
            grads = torch.autograd.grad(odds.sum(), [one for _, one in maps])
    finally:
        model.train(was_training)
    heats = [
        _heat(trunk, values.detach(), grad, images.shape[-2:])
        for (trunk, values), grad in zip(maps, grads, strict=True)
    ]
    return _summing_to_one(torch.stack(heats).mean(dim=0)), answer


def _asked(model: Model, task: Task, question: str) -> dict[str, nn.Module]:
    """Return the trunks that answer a question, by the name of their network.

    What a label says is summed with the others': to the network of another label it has a gradient
    of rounding errors alone, which must not be scaled up to heat.
    """
    own = task.output_of.get(question)
    if own in model.trunks:
        return {own: model.trunks[own]}
    return model.trunks


def _odds(answer: Answer, question: str, classes: Tensor | None) -> Tensor:
    """Return (N,) the log-odds of the answers to a question."""
    axes = [axis for axis, _ in answer.space.axes]
    grid = answer.grid()
    if question == WHOLE or len(axes) == 1:
        log_p = answer.log_joint
    else:
        log_p = grid.logsumexp(dim=[n for n, axis in enumerate(axes, 1) if axis != question])
    chosen = log_p.argmax(dim=1) if classes is None else classes.to(log_p.device)
    own = functional.one_hot(chosen, log_p.shape[1]).bool()
    # Of the joint classes, not of 1 - p, which would lose all digits where the network is sure.
    rest = log_p.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return log_p[own] - rest


def _heat(trunk: nn.Module, values: Tensor, grad: Tensor, size: torch.Size) -> Tensor:
    maps, slopes = spatial(trunk, values).float(), spatial(trunk, grad).float()
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    cam = (weights * maps).sum(dim=1, keepdim=True).relu()
    wide = functional.interpolate(cam, tuple(size), mode="bilinear", align_corners=False)
    return _summing_to_one(wide[:, 0])


def _summing_to_one(heat: Tensor) -> Tensor:
    """Scale (N, H, W) maps to sums of 1; those without any heat stay zero."""
    return heat / heat.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)


@contextmanager
def _listening(model: Model) -> Iterator[dict[str, Tensor]]:
    """Keep what the last maps of each trunk are while the model runs."""
    said: dict[str, Tensor] = {}
    handles: list[RemovableHandle] = []
    try:
        for name, trunk in model.trunks.items():

            def keep(_: nn.Module, __: object, output: Tensor, name: str = name) -> Tensor:
                said[name] = output
                return output.clone()  # what follows may write into its input (in-place ReLU)

            handles.append(grad_cam_layer(trunk).register_forward_hook(keep))
        yield said
    finally:
        for handle in handles:
            handle.remove()
