"""Recordings of batches; what records is a fake, save where there is a GPU."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facecrop.config import plain, validate
from facecrop.errors import ConfigError
from facecrop.images.backends.rembg import Rembg
from facecrop.images.backends.rembg_shapes import U2NET
from facecrop.images.job import Weight, finder_key

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import Tensor  # noqa: E402 - needs torch

from facecrop.images.backends.cuda_graphs import Function, Graphs  # noqa: E402 - likewise

MOST = 32


class FakeRecord:
    """Records by keeping the place, and counts; a replay computes what lies there then."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sizes: list[int] = []
        self.replays = 0
        self._error = error

    def __call__(self, function: Function, place: Tensor) -> Callable[[], Tensor]:
        self.sizes.append(len(place))
        if self._error is not None:
            raise self._error

        def replay() -> Tensor:
            self.replays += 1
            return function(place)

        return replay


def means(pictures: Tensor) -> Tensor:
    return pictures.float().mean((1, 2, 3))


def pictures(count: int, seed: int = 0, side: int = 4) -> Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (count, side, side, 3), np.uint8))


def graphs(record: FakeRecord, function: Function = means) -> Graphs:
    return Graphs(function, MOST, torch.device("cpu"), record)


def test_each_size_is_recorded_once_and_replayed_for_other_pictures() -> None:
    record = FakeRecord()
    run = graphs(record)
    for seed, count in enumerate((7, 8, 3, 32, 25, 9, 16, 7)):
        given = pictures(count, seed)
        assert torch.equal(run(given), means(given))
    assert record.sizes == [8, 32, 16]
    assert record.replays == 5


def test_pictures_of_another_shape_are_recorded_again() -> None:
    record = FakeRecord()
    run = graphs(record)
    for side in (4, 6, 4):
        given = pictures(5, side=side)
        assert torch.equal(run(given), means(given))
    assert record.sizes == [8, 8]
    assert record.replays == 1


def test_more_pictures_than_a_batch_has_are_not_recorded() -> None:
    record = FakeRecord()
    given = pictures(MOST + 1)
    assert torch.equal(graphs(record)(given), means(given))
    assert record.sizes == []


@pytest.mark.parametrize("error", [RuntimeError("not permitted\nwhen"), "memory"])
def test_what_cannot_be_recorded_runs_without_and_says_so(
    error: Exception | str, caplog: pytest.LogCaptureFixture
) -> None:
    fault = torch.OutOfMemoryError("not permitted") if isinstance(error, str) else error
    record = FakeRecord(fault)
    run = graphs(record)
    with caplog.at_level(logging.WARNING):
        for seed, count in enumerate((5, 5, 12)):
            given = pictures(count, seed)
            assert torch.equal(run(given), means(given))
    assert record.sizes == [8]
    assert caplog.messages == [
        "cpu: a batch of 8 cannot be recorded as a CUDA graph (not permitted), goes on without"
    ]


def test_memory_for_a_full_batch_that_is_not_there_does_not_cost_a_small_one() -> None:
    def tight(given: Tensor) -> Tensor:
        if len(given) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return means(given)

    run = graphs(FakeRecord(), tight)
    given = pictures(2)
    assert torch.equal(run(given), means(given))
    with pytest.raises(torch.OutOfMemoryError):  # for the caller, who halves the batch
        run(pictures(3))


def test_graphs_are_torchs_and_change_neither_key_nor_usual_settings() -> None:
    weights = {"u2net": Weight(Path("u2net.onnx"), "0" * 64)}
    ways = [Rembg(runtime="torch", graphs=graphs) for graphs in (False, True)]
    pytest.importorskip("onnx", reason="onnx is not installed")
    assert finder_key(ways[0], weights, "cuda:0") == finder_key(ways[1], weights, "cuda:0")
    assert "graphs" not in dict(plain(Rembg()))  # type: ignore[call-overload]  # a table
    with pytest.raises(ConfigError, match="openvino has no CUDA graphs; set runtime = 'torch'"):
        validate(Rembg, {"runtime": "openvino", "graphs": True}, "rembg")


def some(count: int) -> NDArray[np.uint8]:
    return np.asarray(pictures(count, side=320).numpy())


def test_on_a_cpu_nothing_is_recorded(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx_files import write_unet  # noqa: PLC0415 - needs onnx

    from facecrop.images.backends.rembg_torch import TorchRunner  # noqa: PLC0415 - likewise

    path = write_unet(tmp_path / "u2netp.onnx")
    runner = TorchRunner(path, U2NET, "cpu", "fp32", graphs=True)
    assert runner._graphs is None  # noqa: SLF001 - nothing else tells
    assert runner(some(1)).shape == (1, 20, 20)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_on_a_gpu_a_replay_says_what_kernels_one_by_one_say(
    tmp_path: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("this machine has no GPU")
    pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx_files import write_unet  # noqa: PLC0415 - needs onnx

    from facecrop.images.backends.rembg_torch import TorchRunner  # noqa: PLC0415 - likewise

    path = write_unet(tmp_path / "u2netp.onnx")
    plainly = TorchRunner(path, U2NET, "cuda:0", precision)
    recorded = TorchRunner(path, U2NET, "cuda:0", precision, graphs=True)
    for count in (8, 5, 32, 8, 5):
        given = some(count)
        found = recorded(given).astype(int)
        assert np.abs(found - plainly(given)).max() <= 1
    assert not caplog.messages
