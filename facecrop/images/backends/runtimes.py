"""Runtimes: which package runs a model, and which one `auto` stands for."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from facecrop.errors import MissingExtraError

RUNTIMES = {
    "onnxruntime": ("fp32",),
    "torch": ("fp32", "fp16", "bf16"),
    "openvino": ("fp32", "bf16"),
}
"""By name, what each computes in."""

GPU_RUNTIMES = ("torch", "onnxruntime")
"""Those that know GPUs, the better one first: it runs the other models there too."""

_WHEELS = {
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "torch": ("torch",),
    "openvino": ("openvino",),
}
"""Packages that bring each; one of them is enough."""

_EXTRAS = {"onnxruntime": "rembg", "torch": "rembg-torch", "openvino": "openvino"}


def precisions(runtime: str) -> tuple[str, ...]:
    """Return what a runtime computes in; `auto` stands for any of them."""
    every = tuple(dict.fromkeys(one for own in RUNTIMES.values() for one in own))
    return RUNTIMES.get(runtime, every)


def on_gpu(asked: str, precision: str, *, like_u2net: bool) -> tuple[str, ...]:
    """Return the runtimes that may run a model on a GPU, the better one first.

    Args:
        asked: `auto`, or one of `RUNTIMES`, which then is the only one.
        precision: What the model shall compute in.
        like_u2net: Whether torch is known to run the model.
    """
    able = _able(GPU_RUNTIMES, precision, like_u2net=like_u2net)
    return able if asked == "auto" else tuple(one for one in GPU_RUNTIMES if one == asked)


def choose(device: str, precision: str, *, like_u2net: bool) -> str:
    """Return the runtime for a new dataset: the first that is installed, or the one to install.

    Args:
        device: `cpu` or `cuda:N`.
        precision: What the model shall compute in.
        like_u2net: Whether torch is known to run the model.
    """
    order = GPU_RUNTIMES if device.startswith("cuda") else tuple(RUNTIMES)
    able = _able(order, precision, like_u2net=like_u2net)
    return next((one for one in able if is_installed(one)), able[0])


def _able(order: Sequence[str], precision: str, *, like_u2net: bool) -> tuple[str, ...]:
    return tuple(
        one
        for one in order
        if precision in RUNTIMES[one] and (one != "torch" or like_u2net or precision != "fp32")
    )


def kept(before: str, device: str, precision: str) -> str | None:
    """Return the runtime that a dataset was made with, or None where that does not bind.

    On another class of device, or in another precision, everything is made again anyway.

    Args:
        before: `onnxruntime 1.23.0 fp32 cpu`, say.
        device: What this run uses.
        precision: What the model shall compute in.

    Raises:
        MissingExtraError: It binds, and is not installed.
    """
    runtime, *_, used, kind = before.split()
    if (used, kind) != (precision, device.partition(":")[0]) or runtime not in RUNTIMES:
        return None
    if not is_installed(runtime):
        others = ", ".join(one for one in RUNTIMES if is_installed(one)) or "none"
        raise MissingExtraError(
            f"the mattes of this dataset were made with {runtime}, which is not installed: "
            f'pip install "facecrop[{_EXTRAS[runtime]}]"; or make all of them again with another, '
            f"--set matte.runtime=NAME (installed: {others})"
        )
    return runtime


def keeps_openvino(asked: str, label: str, device: str, before: str | None) -> bool:
    """Tell whether `auto` stands for OpenVINO: a dataset's findings were made with it.

    For finders that have a runtime of their own, which `auto` takes for a new dataset.

    Args:
        asked: Their setting.
        label: Of the finder.
        device: What this run uses for it.
        before: What the dataset's findings were made with: `openvino 2026.4.1 fp32 cpu`, say.

    Raises:
        MissingExtraError: It is so, and OpenVINO is not installed.
    """
    words = (before or "").split()
    if asked != "auto" or "openvino" not in words or words[-1] != device.partition(":")[0]:
        return False
    if not is_installed("openvino"):
        raise MissingExtraError(
            f"the findings of {label} in this dataset were made with openvino, which is not "
            f'installed: pip install "facecrop[openvino]"; or make all of them again: name another '
            f"runtime for {label} in the recipe"
        )
    return True


def openvino_version(label: str) -> str:
    """Return the version of OpenVINO, which shall run a finder.

    Raises:
        MissingExtraError: It is not installed.
    """
    if number := _version("openvino"):
        return number
    raise MissingExtraError(f'{label} on OpenVINO needs openvino: pip install "facecrop[openvino]"')


def is_installed(runtime: str) -> bool:
    """Tell whether a runtime is installed."""
    try:
        installed(runtime, "cpu")
    except MissingExtraError:
        return False
    return True


def installed(runtime: str, device: str) -> str:
    """Return the version of a runtime, whichever of its packages brought it.

    Raises:
        MissingExtraError: It is not installed.
    """
    if runtime == "torch" and _version("onnx") is None:  # which reads the files
        raise MissingExtraError(
            'rembg\'s models on torch are read by onnx: pip install "facecrop[rembg-torch]"'
        )
    for wheel in _WHEELS[runtime]:
        if number := _version(wheel):
            return number
    if find_spec(runtime) is not None:
        return "unknown"
    gpu = runtime == "onnxruntime" and device.startswith("cuda")
    raise MissingExtraError(
        f"rembg's models need {runtime}: "
        f'pip install "facecrop[{"rembg-gpu" if gpu else _EXTRAS[runtime]}]"'
    )


def _version(wheel: str) -> str | None:
    try:
        return version(wheel)
    except PackageNotFoundError:
        return None
