"""An audit on a cluster: what one machine finds, and the same page."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from small_run import small_dataset, write_people

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

from facecrop.checks.measured import STORE_FOLDER, Measured, kinds
from facecrop.commands.audit.command import audit
from facecrop.commands.audit.engine import OnNode
from facecrop.commands.card import package_versions
from facecrop.commands.preprocess.command import preprocess
from facecrop.errors import ConfigError
from facecrop.images.codec import decode, encode

pytestmark = pytest.mark.timeout(600)


def measured(out: Path) -> dict[str, dict[bytes, str]]:
    """Return all that was measured on pictures, by kind."""
    found = {kind: Measured(out, kind.rpartition("-")[0]).read() for kind in kinds()}
    return {kind: values for kind, values in found.items() if values}


@pytest.mark.usefixtures("cluster")
def test_a_cluster_measures_and_finds_what_one_machine_does(tmp_path: Path) -> None:
    raw, out = write_people(tmp_path / "raw", 6), tmp_path / "out"
    copied = decode((raw / "000001_male_Asian_20" / "normal.png").read_bytes()).image
    assert copied is not None
    (raw / "000002_female_Asian_40" / "normal.png").unlink()
    (raw / "000002_female_Asian_40" / "normal.jpg").write_bytes(encode(copied, "jpg", 60))
    preprocess(raw, out, recipe="raw", engine="serial", contact=False)
    audit(out)
    files = [out / "audit" / name for name in ("issues.parquet", "index.html")]
    here, known = [file.read_bytes() for file in files], measured(out)
    kinds_seen = {kind.rpartition("-")[0] for kind in known}
    assert kinds_seen >= {"headers", "looks", "sketches", "pairs", "strips"}
    shutil.rmtree(out / STORE_FOLDER / "measured")
    audit(out, engine="ray")
    assert [file.read_bytes() for file in files] == here
    assert measured(out) == known


def test_what_was_measured_before_needs_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = small_dataset(tmp_path, 4)[1]
    audit(out)
    page = (out / "audit" / "index.html").read_bytes()
    monkeypatch.setattr("facecrop.engines.ray.connected", None)
    audit(out, engine="ray", address="127.0.0.1:1")
    assert (out / "audit" / "index.html").read_bytes() == page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "serial"}, "no engine named 'serial'; choose from: local, ray"),
        ({"address": "auto"}, "--address auto needs --engine ray"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        audit(tmp_path, **options)


def test_a_machine_that_differs_is_named(tmp_path: Path) -> None:
    right = OnNode([tmp_path], package_versions())
    right()
    with pytest.raises(ConfigError, match=r"does not see .*nowhere.*; RAW and OUT must be on"):
        replace(right, folders=[tmp_path / "nowhere"])()
    with pytest.raises(ConfigError, match=r"has numpy .* and this run began with '1\.0'"):
        replace(right, expected={"numpy": "1.0"})()
