"""What every runtime of rembg's models must do, on a small file of U²-Net's kinds of operations."""

import json
import os
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from fakes import write_profiles
from numpy.typing import NDArray
from runs import content, trust

from facecrop.commands.preprocess.command import preprocess
from facecrop.config import plain, validate
from facecrop.errors import ConfigError, DeviceError, MissingExtraError, WeightsError
from facecrop.images.backends import runtimes
from facecrop.images.backends.rembg import Rembg, RembgFinder
from facecrop.images.backends.rembg_shapes import U2NET, Numbers
from facecrop.images.backends.runtimes import RUNTIMES
from facecrop.images.frames import Box, Image
from facecrop.images.job import Weight, finder_key
from facecrop.images.look.finder import ELSEWHERE

pytest.importorskip("onnx", reason="onnx is not installed")

from onnx_files import write_unet

HALVES = [("torch", "bf16"), ("torch", "fp16"), ("openvino", "bf16")]
WEIGHTS = {"u2netp": Weight(Path("u2netp.onnx"), "0" * 64)}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_unet(tmp_path / "u2netp.onnx")


def load(path: Path, runtime: str, precision: str = "fp32") -> RembgFinder:
    if find_spec(runtime) is None:
        pytest.skip(f"{runtime} is not installed")
    settings = {"name": "rembg", "model": "u2netp", "runtime": runtime, "precision": precision}
    return validate(Rembg, settings, "rembg").load(lambda _: path, "cpu")


def noise(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (count, 320, 320, 3)).astype(np.uint8)


def mattes(finder: RembgFinder, pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.concatenate([np.stack(finder.infer(one[None])) for one in pictures]).astype(np.int64)


def iou(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    seen, there = one > 127, other > 127
    return float((seen & there).sum() / (seen | there).sum())


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_a_runtime_says_what_onnxruntime_says(small: Path, runtime: str) -> None:
    pictures = noise(3)
    expected = mattes(load(small, "onnxruntime"), pictures)
    assert len(np.unique(expected)) > 100
    found = mattes(load(small, runtime), pictures)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1  # where a value lies between two numbers


@pytest.mark.parametrize(("runtime", "precision"), HALVES)
def test_half_precision_stays_near(small: Path, runtime: str, precision: str) -> None:
    pictures = noise(3)
    expected = mattes(load(small, "onnxruntime"), pictures)
    found = mattes(load(small, runtime, precision), pictures)
    assert iou(found, expected) > 0.97
    assert (found != expected).any()  # or it was not in that precision


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_each_picture_is_brought_to_its_own_peak(small: Path, runtime: str) -> None:
    picture = noise(1) // 2
    twice = (picture * 2).astype(np.uint8)
    finder = load(small, runtime)
    assert np.abs(mattes(finder, picture) - mattes(finder, twice)).max() <= 1


@pytest.mark.parametrize("runtime", list(RUNTIMES))
@pytest.mark.parametrize("level", [0, 128, 255])
def test_no_picture_gives_missing_numbers(small: Path, runtime: str, level: int) -> None:
    finder = load(small, runtime)
    picture = np.full((40, 30, 3), level, np.uint8)
    alpha = finder.interpret(finder.infer(finder.prepare(picture)[None])[0], 40, 30)
    assert alpha.values.dtype == np.uint8
    assert alpha.region == Box(0, 0, 30, 40)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_a_model_that_says_the_same_everywhere_found_nobody(value: float) -> None:
    said = np.full((2, 20, 20), value, np.float32)
    assert not Numbers(U2NET).mattes(said).any()
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from facecrop.images.backends.rembg_torch import stretched  # noqa: PLC0415 - needs torch

    assert not stretched(torch.from_numpy(said)).any()


def test_on_torch_a_batch_may_have_any_size_and_neighbours_change_nothing(small: Path) -> None:
    finder = load(small, "torch")
    pictures = noise(7)
    alone = mattes(finder, pictures)
    together = np.stack(finder.infer(pictures)).astype(np.int64)
    assert np.abs(together - alone).max() <= 1


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_a_file_that_is_no_model_is_named(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "u2netp.onnx"
    file.write_bytes(b"no model at all")
    with pytest.raises(
        WeightsError, match=r"u2netp\.onnx: \w+ cannot (load|read) it.*another file"
    ):
        load(file, runtime)


def test_a_model_that_torch_does_not_know_is_named_with_its_operations(tmp_path: Path) -> None:
    path = write_unet(tmp_path / "birefnet-general.onnx", extra="Softplus")
    with pytest.raises(ConfigError, match=r"birefnet-general\.onnx cannot run on torch.*Softplus"):
        load(path, "torch")


def test_a_gpu_that_torch_cannot_use_is_an_error_with_a_cure(small: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match=r"u2netp\.onnx cannot run on cuda:1.*--device cpu"):
        Rembg(model="u2netp", runtime="torch").load(lambda _: small, "cuda:1")


@pytest.mark.parametrize(
    ("runtime", "precision"), [("onnxruntime", "fp16"), ("openvino", "fp16"), ("auto", "int8")]
)
def test_a_precision_that_a_runtime_has_not_is_refused(runtime: str, precision: str) -> None:
    with pytest.raises(ConfigError, match=r"set runtime = 'torch'|'fp32', 'fp16' or 'bf16'"):
        validate(Rembg, {"runtime": runtime, "precision": precision}, "rembg")


def test_a_model_is_not_loaded_where_it_only_prepares(tmp_path: Path) -> None:
    finder = Rembg().load(lambda _: tmp_path / "is not read", ELSEWHERE)
    assert finder.prepare(np.zeros((50, 40, 3), np.uint8)).shape == (320, 320, 3)
    with pytest.raises(RuntimeError, match="loaded elsewhere"):
        finder.infer(noise(1))


def test_the_key_of_findings_tells_runtime_precision_and_device_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtimes, "_version", lambda _: "1.0")
    monkeypatch.setattr(runtimes, "is_installed", lambda _: True)
    ways = [
        Rembg(model="u2netp", runtime="onnxruntime"),
        Rembg(model="u2netp", runtime="torch"),
        Rembg(model="u2netp", runtime="torch", precision="fp16"),
        Rembg(model="u2netp", runtime="torch", precision="bf16"),
        Rembg(model="u2netp", runtime="openvino"),
    ]
    keys = {finder_key(way, WEIGHTS, "cpu") for way in ways}
    assert len(keys) == len(ways)
    assert finder_key(ways[1], WEIGHTS, "cuda:0") not in keys
    assert finder_key(ways[4], WEIGHTS, "cuda:0") in keys  # it stays on the CPU
    assert finder_key(Rembg(model="u2netp"), WEIGHTS, "cpu") == finder_key(ways[0], WEIGHTS, "cpu")
    assert finder_key(Rembg(model="u2netp"), WEIGHTS, "cuda:0") == finder_key(
        ways[1], WEIGHTS, "cuda:0"
    )


def test_the_usual_settings_are_not_written_out() -> None:
    assert json.dumps(plain(Rembg())) == '{"name": "rembg", "model": "u2net", "like": null}'
    assert tomllib.loads('runtime = "torch"').items() <= dict(plain(Rembg(runtime="torch"))).items()  # type: ignore[call-overload]  # a table


@pytest.mark.parametrize(
    ("runtime", "extra"),
    [("onnxruntime", "rembg"), ("torch", "rembg-torch"), ("openvino", "openvino")],
)
def test_a_runtime_that_is_missing_is_answered_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, runtime: str, extra: str
) -> None:
    monkeypatch.setattr(runtimes, "_version", lambda _: None)
    monkeypatch.setattr(runtimes, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=rf'pip install "facecrop\[{extra}\]"'):
        validate(Rembg, {"runtime": runtime}, "rembg").runs_on("cpu")


def test_runtimes_agree_on_photographs(photographs: list[Image]) -> None:
    path = Path(os.environ["FACECROP_EVAL"], "models", "u2netp_rebuilt_fp16w.onnx")
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    own = load(path, "onnxruntime")
    pictures = np.stack([own.prepare(image) for image in photographs[:3]])
    expected = mattes(own, pictures)
    for runtime in ("torch", "openvino"):
        found = mattes(load(path, runtime), pictures)
        assert np.abs(found - expected).mean() < 0.1  # of 255; one is what is asked for
        assert min(map(iou, found, expected)) > 0.999


def test_auto_keeps_what_a_dataset_was_made_with(tmp_path: Path, small: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    raw, out = write_profiles(tmp_path / "raw", profiles=1), tmp_path / "out"

    def run(*settings: str) -> int:
        result = preprocess(
            raw,
            out,
            recipe="rembg",
            settings=["matte.model=u2netp", *settings],
            weights={"u2netp": small},
            device="cpu",
            engine="serial",
            contact=False,
        )
        return result.progress.calls["rembg-u2netp"]

    def card() -> str:
        return str(tomllib.loads((out / "dataset.toml").read_text())["recipe"]["look"]["matte"])

    assert run("matte.runtime=torch") == 3
    assert "'runtime': 'torch'" in card()
    before = content(out)
    trust(out)
    assert run() == 0
    assert content(out) == before
    assert run("matte.runtime=onnxruntime") == 3
    assert "'runtime': 'onnxruntime'" in card()
    assert run() == 0
