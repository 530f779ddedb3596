"""Pictures that shards share, and runs of one shard or of all."""

import random
from pathlib import Path
from typing import Any

from fakes import draw, usual_face, write_png, write_profiles
from runs import run

from facecrop.commands.preprocess.command import PreprocessResult

SHARDS = Path(".store", "shards")
IMAGES = 26


def write_quirks(raw: Path) -> Path:
    """Eight profiles with whatever makes records depend on each other, and things to leave out."""
    write_profiles(raw, 6)
    quirks = raw / "000007_female_Asian_33"
    write_png(quirks / "normal.png", draw(face=usual_face(), shade=7))
    write_png(quirks / "Normal.bmp", draw(face=usual_face(), shade=8))
    write_png(quirks / "mask1.png", draw(face=None))  # borrows the face of its sibling
    write_png(quirks / "mask2.png", draw(face=None, body=False, shade=1))
    (quirks / "mask3.jpg").write_bytes(b"")
    (quirks / "mask4.jpg").write_bytes(b"no picture")
    (quirks / "100% ümlaut.png").write_bytes((quirks / "normal.png").read_bytes())
    other = raw / "000007_FEMALE_Asian_33"  # one folder of crops on some file systems
    write_png(other / "normal.png", draw(face=usual_face(), shade=9))
    (raw / "000008_male_Asian_40").mkdir()
    (raw / "notes.txt").write_text("not a picture")
    (quirks / "sheet.xls").write_text("nor this")
    return raw


def shard(raw: Path, out: Path, number: int, count: int, **options: Any) -> PreprocessResult:
    return run(raw, out, shard=f"{number}/{count}", **options)


def sharded(raw: Path, out: Path, count: int, **options: Any) -> None:
    """Run all shards, in an order that nobody has promised."""
    numbers = list(range(1, count + 1))
    random.Random(count).shuffle(numbers)  # noqa: S311 - no secret
    for number in numbers:
        shard(raw, out, number, count, **options)
