"""A run that is trained in seconds, on drawn people of a few pixels, for whatever reads runs."""

from pathlib import Path

from fakes import write_png
from made_datasets import texture

from facecrop.commands.preprocess.command import preprocess
from facecrop.commands.train.command import train
from facecrop.config import override, validate
from facecrop.training.runs import Run
from facecrop.training.settings import TrainSettings

STEMS = ("mask1", "incorrect_mask", "normal")
LOSSLESS = 'render.encode.format="png"'
TINY = (
    "input.size=[32,32]",
    "input.center_crop=[80,60]",
    "optim.epochs=1",
    "optim.batch_size=8",
    "model.pretrained=false",
)


def write_people(raw: Path, profiles: int = 10) -> Path:
    """Write people of three pictures each; nothing in them looks like anything else."""
    for person in range(profiles):
        gender, age = ("male", "female")[person % 2], (20, 40, 60)[person % 3]
        for number, stem in enumerate(STEMS):
            name = f"{person + 1:06d}_{gender}_Asian_{age}"
            image = texture(len(STEMS) * person + number, 96, 64, blob=20)
            write_png(raw / name / f"{stem}.png", image)
    return raw


def small_dataset(folder: Path, profiles: int = 10) -> tuple[Path, Path]:
    """Return RAW and the dataset made of it, whose crops are the pictures as they are."""
    raw = write_people(folder / "raw", profiles)
    out = folder / "out"
    preprocess(raw, out, recipe="raw", settings=[LOSSLESS], engine="serial", contact=False)
    return raw, out


def small_run(out: Path, name: str = "tiny", *settings: str, repeats: int = 1) -> Run:
    """Train a little, and return the run."""
    asked = validate(TrainSettings, override({}, [*TINY, *settings]), "small_run")
    result = train(out, preset=asked, name=name, repeats=repeats, device="cpu")
    return Run(result.run)
