"""A trained model as one ONNX file."""

import json
from importlib.metadata import version
from pathlib import Path

from facecrop.commands.train.command import check_installed
from facecrop.errors import ConfigError


def export_model(run: Path, file: Path) -> None:
    """Write a trained model as one ONNX file that takes bytes and gives logits.

    Its input `images` is (N, H, W, 3) uint8 RGB, crops as the run's recipe makes them, at the size
    of the run's input; normalising is inside. Its outputs are the logits by name. What the file
    says of itself (`facecrop`, JSON): classes, age policy, sizes, prior correction.

    Args:
        run: `OUT/runs/<name>`, a single training.
        file: Where, `.onnx`.

    Raises:
        TableError: There is no such run, or it holds several trainings.
        ConfigError: The file has another ending.
        StoreError: It cannot be written.
    """
    if file.suffix.lower() != ".onnx":
        raise ConfigError(f"{str(file)!r} must end in .onnx")
    if not file.parent.is_dir():
        raise ConfigError(f"{file}: there is no folder {str(file.parent)!r}")
    check_installed()
    from facecrop.training.models import onnx  # noqa: PLC0415 - torch, only when asked
    from facecrop.training.task import JOINT  # noqa: PLC0415 - likewise
    from facecrop.training.trained import load_run  # noqa: PLC0415 - likewise

    trained = load_run(run)
    facts = {
        "version": version("facecrop"),
        "labels": {axis: list(words) for axis, words in trained.task.space.axes},
        "outputs": trained.task.outputs,
        "age": trained.settings.model.age,
        "age_policy": trained.policy.model_dump(mode="json"),
        "center_crop": trained.center_crop,
        "recipe": trained.card.get("recipe_name"),
        "prior_correction": trained.task.tau,
        "counts": trained.priors[JOINT].tolist(),
    }
    onnx.export(
        trained.model,
        file,
        mean=trained.mean.tolist(),
        std=trained.std.tolist(),
        size=trained.size,
        metadata={"facecrop": json.dumps(facts)},
    )
