"""Every shipped preset is a training that works: it steps, is stopped, goes on, and predicts."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from small_run import small_dataset

import facecrop
from facecrop.config import manifests_dir
from facecrop.training.presets import load_preset
from facecrop.training.progress import Progress

PRESETS = sorted(file.stem for file in (manifests_dir() / "training").glob("*.toml"))
TRUNK_OF_OTHERS = "003-a"
# What a transformer's windows and positions allow; all others see 64x48.
SIZES = {
    "swin_large_patch4_window12_384": [96, 96],
    "swin_large_patch4_window7_224": [56, 56],
    "swin_tiny_patch4_window7_224": [56, 56],
    "vit_base_patch16_384": [64, 64],
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset in which the run that some presets start from has ended."""
    out = small_dataset(tmp_path_factory.mktemp("presets"))[1]
    facecrop.train(
        out, preset=TRUNK_OF_OTHERS, name=TRUNK_OF_OTHERS, settings=tiny(TRUNK_OF_OTHERS, 1),
        ignore_requires=True, device="cpu",
    )  # fmt: skip
    return out


def tiny(preset: str, epochs: int) -> Sequence[str]:
    """Return what makes a preset short and small, and leaves everything else as it is."""
    settings = load_preset(preset)
    size = SIZES.get(settings.model.backbone, [64, 48])
    said = [f"input.size={size}", f"optim.epochs={epochs}", "optim.batch_size=12"]
    said += ["input.center_crop=[80,60]"] if settings.input.center_crop else []
    said += ["model.pretrained=false"]
    # Half precision needs a GPU; stages begin within the two epochs.
    said += ['optim.precision="float32"'] if settings.optim.precision == "fp16" else []
    if settings.loss.then:
        said += ['loss.then=[{ from_epoch = 1, terms = [{ name = "soft-f1" }] }]'] * (epochs > 1)
        said += ["loss.then=[]"] * (epochs == 1)
    said += ["optim.swa.start=0"] if settings.optim.swa else []
    return said


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_steps_saves_goes_on_and_predicts(
    dataset: Path, tmp_path: Path, preset: str
) -> None:
    ended = list[int]()

    def stop(progress: Progress) -> None:
        if progress.ended is not None:
            ended.append(progress.epoch)
            raise KeyboardInterrupt

    name = f"{preset}-tiny"
    with pytest.raises(KeyboardInterrupt):
        facecrop.train(
            dataset, preset=preset, name=name, settings=tiny(preset, 2), ignore_requires=True,
            device="cpu", report=stop,
        )  # fmt: skip
    result = facecrop.train(
        dataset,
        resume=name,
        device="cpu",
        report=lambda progress: ended.append(progress.epoch) if progress.ended else None,
    )
    assert ended == [0, 1]
    assert np.isfinite(result.scores["val_loss"])
    said = facecrop.predict([result.run], dataset, out=tmp_path / "said.csv", device="cpu").said
    assert len(said.keys) == 30
    np.testing.assert_allclose(said.distribution().sum(axis=1), 1, atol=1e-6)
    shutil.rmtree(result.run)  # the largest leave two gigabytes
