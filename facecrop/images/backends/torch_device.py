"""Torch's devices, and a clear word where one cannot be used."""

import torch

from facecrop.errors import DeviceError


def torch_device(device: str, what: str) -> torch.device:
    """Return a device; on the CPU this process's torch works with one thread from then on.

    Args:
        device: `cpu` or `cuda:N`.
        what: Shall run there, for messages.

    Raises:
        DeviceError: The GPU that was asked for cannot be used.
    """
    if not device.startswith("cuda"):
        torch.set_num_threads(1)  # one worker process for each core
        return torch.device("cpu")
    if not torch.cuda.is_available():
        why = (
            "this torch was built without CUDA: install one with it, see pytorch.org"
            if torch.version.cuda is None
            else f"no driver that fits CUDA {torch.version.cuda} of this torch: see nvidia-smi"
        )
        raise DeviceError(f"{what} cannot run on {device}: {why}; or use --device cpu")
    chosen = torch.device(device)
    count = torch.cuda.device_count()
    if (chosen.index or 0) >= count:
        raise DeviceError(
            f"{what} cannot run on {device}: torch sees {count} GPU(s), cuda:0 is the first"
        )
    torch.backends.cudnn.allow_tf32 = False  # results would move away from those of a CPU
    return chosen
