"""What is exported says what the model says."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from facecrop.errors import StoreError
from facecrop.training.models.build import build_model
from facecrop.training.models.onnx import export
from facecrop.training.settings.model import ModelSettings

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backbone", ["small", "test_vit"])
def test_an_exported_model_predicts_the_same_from_bytes(backbone: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    size, file = (64, 48), tmp_path / "model.onnx"
    settings = ModelSettings(backbone=backbone, pretrained=False, heads="three-way", age="coral")
    model = build_model(settings, {"mask": 3, "gender": 2, "age": 100}, size)
    with torch.no_grad():  # larger answers than a new network's, as a trained one has
        for head in model.networks["shared"].heads.values():
            head[-1].get_submodule("linear" if hasattr(head[-1], "linear") else "").weight.mul_(20)
    model.train()

    export(model, file, mean=MEAN, std=STD, size=size, metadata={"classes": "[]"})
    assert model.training, "the model is left alone"
    assert [left.name for left in tmp_path.iterdir()] == ["model.onnx"]

    session = onnxruntime.InferenceSession(str(file))
    assert session.get_modelmeta().custom_metadata_map == {"classes": "[]"}
    names = [output.name for output in session.get_outputs()]
    assert names == ["mask", "gender", "age"]
    model.eval()
    for n in (1, 3):
        pictures = np.random.default_rng(n).integers(0, 256, (n, *size, 3), dtype=np.uint8)
        ours = (torch.from_numpy(pictures) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
        with torch.no_grad():
            wanted = model(ours.permute(0, 3, 1, 2))
        for name, said in zip(names, session.run(None, {"images": pictures}), strict=True):
            np.testing.assert_allclose(said, wanted[name].numpy(), atol=1e-4)
            assert n == 1 or np.abs(said[0] - said[1]).max() > 1e-3


def test_an_export_into_nowhere_is_one_line(tmp_path: Path) -> None:
    model = build_model(ModelSettings(backbone="plain-cnn"), {"joint": 18}, (16, 16))
    file = tmp_path / "none" / "model.onnx"
    with pytest.raises(StoreError, match=r"model\.onnx cannot be written"):
        export(model, file, mean=MEAN, std=STD, size=(16, 16))
