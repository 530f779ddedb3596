"""Devices: what models run on, and a clear word where they cannot."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import cast

from facecrop.config import Settings
from facecrop.errors import ConfigError, DeviceError
from facecrop.images.backends.rembg import Rembg
from facecrop.images.backends.runtimes import keeps_openvino
from facecrop.images.look.settings import FinderSettings
from facecrop.images.recipe import Recipe

_PACKAGES = {
    "rembg": ("torch", "onnx"),
    "yolov8": ("torch",),
    "onnxruntime": ("onnxruntime-gpu",),
}
"""What has to be installed for it: for torch, by finder."""
_DRIVER = (Path("/proc/driver/nvidia/gpus"), Path("/dev/nvidia0"), Path("/dev/dxg"))
"""One of these is there where an NVIDIA driver is; the last one under Windows' Linux."""


def resolve_devices(asked: str, finders: Sequence[FinderSettings]) -> tuple[str, ...]:
    """Return the devices a run will use: `("cpu",)`, or one or more of `cuda:N`.

    Args:
        asked: `auto`, `cpu`, `cuda`, `cuda:1`, or several: `cuda:0,cuda:1`.
        finders: Those of the recipe; where none of them can use a GPU, `auto` is the CPU.

    Raises:
        ConfigError: That is no device.
        DeviceError: A GPU was asked for, and it can be seen already that it cannot be used.
    """
    if asked == "cpu":
        return ("cpu",)
    able = [finder for finder in finders if uses_gpu(finder)]
    if asked == "auto":
        return ("cuda:0",) if able and not _obstacles(able) else ("cpu",)
    devices = tuple("cuda:0" if one == "cuda" else one for one in asked.split(","))
    for device in devices:
        kind, _, number = device.partition(":")
        if kind != "cuda" or not (number.isascii() and number.isdecimal()):
            raise ConfigError(
                f"no device named {device!r}; "
                "choose from: auto, cpu, cuda, cuda:N, or several with commas"
            )
    if len(set(devices)) < len(devices):
        raise ConfigError(f"--device {asked} names a device twice")
    if not able:
        raise DeviceError(
            f"--device {asked}: none of the recipe's models ({_names(finders)}) can use a GPU; "
            "use --device cpu, or a recipe with rembg or yolov8"
        )
    if obstacles := _obstacles(able):
        raise DeviceError(f"--device {asked}: {obstacles[0]}")
    return devices


def uses_gpu(finder: FinderSettings) -> bool:
    """Tell whether a finder runs on a GPU where there is one; the others stay on the CPU."""
    return bool(_runtimes(finder))


def settle_runtimes(recipe: Recipe, device: str, before: Mapping[str, str]) -> Recipe:
    """Return a recipe whose finders know what runs them: nothing is decided twice in a run.

    Args:
        recipe: As it was asked for.
        device: What the run uses: `cpu` or `cuda:N`.
        before: By finder, what the findings of the dataset were made with.

    Raises:
        MissingExtraError: They were made with something that is not installed.
    """

    def settled(finder: FinderSettings) -> object:
        on = device if uses_gpu(finder) else "cpu"
        made = before.get(finder.label)
        matte: object = finder
        if isinstance(matte, Rembg):
            return matte.settled(on, made)
        asked = getattr(finder, "runtime", "")
        if keeps_openvino(asked, finder.label, on, made):
            return cast("Settings", finder).model_copy(update={"runtime": "openvino"})
        return finder

    look = _with_finders(recipe.look, settled)
    return recipe if look is recipe.look else recipe.model_copy(update={"look": look})


def _with_finders(value: object, settled: Callable[[FinderSettings], object]) -> object:
    """Return settings with each finder in them replaced; themselves where none is another one."""
    if hasattr(value, "runs_on"):
        return settled(cast("FinderSettings", value))
    if isinstance(value, tuple):
        items = tuple(_with_finders(item, settled) for item in value)
        same = all(one is other for one, other in zip(items, value, strict=True))
        return value if same else items
    if not isinstance(value, Settings):
        return value
    fields = {name: getattr(value, name) for name in type(value).model_fields}
    parts = {name: _with_finders(part, settled) for name, part in fields.items()}
    changed = {name: part for name, part in parts.items() if part is not fields[name]}
    return value.model_copy(update=changed) if changed else value


def _runtimes(finder: FinderSettings) -> tuple[str, ...]:
    """Return what may run a finder on a GPU: most say nothing of it, and stay on the CPU."""
    runtimes: tuple[str, ...] = getattr(finder, "gpu_runtimes", ())
    return runtimes


def _obstacles(finders: Sequence[FinderSettings]) -> list[str]:
    """Return why these finders could not use a GPU, as far as that shows without loading them."""
    found = []
    if not any(path.exists() for path in _DRIVER):
        found.append("this machine has no NVIDIA driver; install it, or use --device cpu")
    for finder in finders:
        able = _runtimes(finder)
        needs = [_PACKAGES[finder.name if one == "torch" else one] for one in able]
        if any(all(map(_installed, packages)) for packages in needs):
            continue
        if "torch" in able:
            extra = "yolo" if finder.name == "yolov8" else "rembg-torch"
            found.append(f'{finder.label} needs torch there: pip install "facecrop[{extra}]"')
        else:
            found.append(
                "the installed onnxruntime has no CUDA; run: "
                'pip uninstall onnxruntime && pip install "facecrop[rembg-gpu]"'
            )
    return found


def _installed(package: str) -> bool:
    """Tell whether a package is there, and not in a build for CPUs alone."""
    try:
        return not distribution(package).version.endswith("+cpu")
    except PackageNotFoundError:
        return False


def _names(finders: Sequence[FinderSettings]) -> str:
    return ", ".join(finder.label for finder in finders) or "none"
