"""Print images a second of rembg's models from JPEG files, against the model alone.

    python benchmarks/gpu.py u2net=U2NET.onnx u2netp=U2NETP.onnx --precision fp16 --images 20000
        [--graphs]

`alone` is the network of torch on one fixed batch that lies on the device already, called again and
again: nothing can be quicker, save the same from a recording, a CUDA graph, which is `recorded`
(with --graphs, and then preprocess uses them too). `preprocess` is the command a user types, from
JPEG files to JPEG crops with the background out: files are read and decoded, pictures prepared,
mattes inferred by the process of the GPU, stored, and crops written. Of its time that counts from
the first crop on; the pictures that may have been in the workers then are left out.

The pictures are drawn, 384x512. Without a GPU, or with --device cpu, the same is done on the CPU,
and the output says so: there `alone` is one picture at a time on one thread, times the workers.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from drawn import draw

from facecrop.engines.cores import usable_cores
from facecrop.images.backends.cuda_graphs import OnDevice
from facecrop.images.backends.onnx_torch import convert
from facecrop.images.backends.rembg_shapes import SHAPES

PROFILE = 7
"""Pictures of a drawn profile."""
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Options:
    device: str
    precision: str
    batch: int
    images: int
    workers: int
    seconds: float
    graphs: bool

    @property
    def on_gpu(self) -> bool:
        return self.device.startswith("cuda")


def alone(file: Path, side: int, options: Options, *, recorded: bool = False) -> float:
    """Return the images a second of the network on a batch that is on the device already."""
    if not options.on_gpu:
        torch.set_num_threads(1)
    batch = options.batch if options.on_gpu else 1
    kind = TYPES[options.precision]
    network = convert(file, side, halved=options.precision != "fp32").to(options.device, kind)
    network = network.to(memory_format=torch.channels_last)
    planes = torch.randn(batch, network.channels, side, side, device=options.device, dtype=kind)
    planes = planes.contiguous(memory_format=torch.channels_last)
    calls = 0
    with torch.inference_mode():
        run: Callable[[], object] = partial(network, planes)
        for _ in range(3):
            run()
        if recorded:
            run = OnDevice(torch.device(options.device))(network, planes)
        wait(options)
        start = time.perf_counter()
        while time.perf_counter() - start < options.seconds:
            run()
            wait(options)
            calls += 1
    speed = calls * batch / (time.perf_counter() - start)
    return speed if options.on_gpu else speed * options.workers


def wait(options: Options) -> None:
    if options.on_gpu:
        torch.cuda.synchronize()


def whole(name: str, file: Path, raw: Path, options: Options) -> float:
    """Return the images a second of `facecrop preprocess`, once it runs."""
    out = raw.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run(
        [
            sys.executable, "-m", "facecrop", "preprocess", str(raw), str(out),
            "--recipe", "rembg", "--set", f"matte.model={name}", "--weights", f"{name}={file}",
            "--set", "matte.runtime=torch", "--set", f"matte.precision={options.precision}",
            *(["--set", "matte.graphs=true"] if options.graphs else []),
            "--device", options.device, "--workers", str(options.workers), "--no-contact",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    written = sorted(path.stat().st_mtime_ns for path in out.glob("images/*/*.jpg"))
    if len(written) != options.images:
        raise SystemExit(f"{options.images} pictures, but {len(written)} crops")
    ahead = PROFILE * options.workers
    if len(written) < 2 * ahead:
        raise SystemExit(f"too few pictures for {options.workers} workers: {len(written)}")
    return (len(written) - ahead) / ((written[-1] - written[0]) / 1e9)


def read_arguments() -> tuple[dict[str, Path], Options]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="NAME=FILE.onnx, names as rembg has them")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default="fp32", choices=TYPES)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=len(usable_cores()))
    parser.add_argument("--graphs", action="store_true", help="start batches from CUDA graphs")
    parser.add_argument("--seconds", type=float, default=10, help="that the model runs alone")
    given = vars(parser.parse_args())
    models = {
        name: Path(file) for name, _, file in (one.partition("=") for one in given.pop("models"))
    }
    given["images"] -= given["images"] % PROFILE  # whole profiles
    return models, Options(**given)


def main() -> None:
    models, options = read_arguments()
    if options.on_gpu:
        print(f"{torch.cuda.get_device_name(options.device)}, torch {torch.__version__}")
    else:
        print(f"NO GPU: these are figures of {options.workers} cores, torch {torch.__version__}")
    print(f"{options.images:,} pictures, {options.workers} workers, {options.precision}")
    print(f"{'images a second':18} {'alone':>9} {'recorded':>9} {'preprocess':>11} {'share':>6}")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        draw(raw, options.images)
        for name, file in models.items():
            limit = alone(file, SHAPES[name].side, options)
            told = "-"
            if options.graphs and options.on_gpu:
                told = f"{alone(file, SHAPES[name].side, options, recorded=True):.1f}"
            speed = whole(name, file, raw, options)
            share = speed / limit
            print(f"{name:18} {limit:9.1f} {told:>9} {speed:11.1f} {share:6.2f}", flush=True)


if __name__ == "__main__":
    main()
