"""What runs models tells nobody of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from program import CHECKOUT

from facecrop.images.backends.tasks import base_options

OFF = {"ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS"}
"""Where one of these is set onnxruntime tells nothing anyway."""


def test_onnxruntime_keeps_no_record_of_a_session(tmp_path: Path) -> None:
    """Its telemetry keeps a file among temporary ones, from the import on."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    code = """
import os
from facecrop.images.backends.rembg_onnxruntime import silent_onnxruntime
silent_onnxruntime()
assert "ORT_DISABLE_TELEMETRY" not in os.environ
"""
    given = {name: value for name, value in os.environ.items() if name not in OFF}
    environment = given | {"TMPDIR": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=CHECKOUT, check=True, timeout=120
    )
    assert list(tmp_path.iterdir()) == []


def test_tasks_of_mediapipe_trust_no_host(tmp_path: Path) -> None:
    """They would tell it of their use as they close; without a certificate nothing is sent."""
    given = base_options(tmp_path / "model.tflite").to_ctypes()
    assert given.model_asset_path == os.fsencode(tmp_path / "model.tflite")
    assert Path(os.fsdecode(given.ca_bundle_path)).read_bytes() == b""
