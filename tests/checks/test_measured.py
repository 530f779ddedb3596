"""What was measured is kept by content: a second audit opens no picture but changed ones."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from checked import face
from made_datasets import names, record, seven_of, write_dataset

from facecrop import fragments
from facecrop.checks import duplicates, headers, looks, measured, pixelstats
from facecrop.checks.material import Material
from facecrop.checks.measured import Measured
from facecrop.checks.proof import Small
from facecrop.commands.audit import thumbs as audit_thumbs
from facecrop.commands.audit.command import audit
from facecrop.fragments import Entry
from facecrop.images.codec import encode
from facecrop.images.frames import Image

DIGESTS = [bytes([number]) * 32 for number in range(10)]


class Counted:
    """Stands for a decoder and remembers how often it was asked."""

    def __init__(self, decode: Callable[..., object]) -> None:
        self.decode = decode
        self.seen: list[bytes] = []

    def __call__(self, data: bytes, *rest: object) -> object:
        self.seen.append(data)
        return self.decode(data, *rest)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every picture that an audit or the statistics decode, or whose header they read."""
    seen: list[bytes] = []
    places = (
        (looks, "decode_crop"), (pixelstats, "decode"), (headers, "open_picture"),
        (audit_thumbs, "decode_crop"), (audit_thumbs, "decode"),
        (duplicates, "decode"),
    )  # fmt: skip
    for module, name in places:
        counted = Counted(getattr(module, name))
        counted.seen = seen
        monkeypatch.setattr(module, name, counted)
    return seen


def dark(image: Image) -> Image:
    return (image * 0.15).astype(np.uint8)


def a_dataset(folder: Path, pictures: Sequence[Image]) -> Path:
    """Write RAW and a dataset whose crops are the raw pictures; the last record is a reject."""
    raw, out = folder / "raw", folder / "out"
    rows, crops = [], {}
    for number, row in enumerate(seven_of(*names(3))):
        pixels = pictures[number % len(pictures)]
        data = encode(pixels, "png", 95)
        file = raw / str(row["path"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        now = file.stat()
        row |= {"digest": sha256(data).digest(), "size": now.st_size, "mtime_ns": now.st_mtime_ns}
        if number < 20:
            crops[str(row["path"])] = pixels
            row |= {"image_sha256": sha256(data).digest(), "recipe": bytes(32)}
        else:
            row |= {"status": "reject", "reason": "no-face"}
        rows.append(row)
    write_dataset(out, rows, crops)
    (out / "dataset.toml").write_text('raw = "../raw"\n[recipe.render]\n')
    return out


def test_a_second_audit_opens_no_picture_and_finds_the_same(
    tmp_path: Path, opened: list[bytes]
) -> None:
    out = a_dataset(tmp_path, [face(0), face(1), dark(face(2))])
    first = audit(out)
    page = first.page.read_bytes()
    assert {"dark", "no-face"} <= {issue.check for issue in first.issues}
    assert len(opened) > 20
    opened.clear()
    second = audit(out)
    assert opened == []
    assert second.issues == first.issues
    assert second.page.read_bytes() == page


def test_identical_crops_are_measured_once(tmp_path: Path, opened: list[bytes]) -> None:
    material = Material(a_dataset(tmp_path, [face(0), face(1)]))
    blur = material.looks["blur"]
    assert len(opened) == 2
    assert len(np.unique(blur[:20])) == 2
    assert np.isnan(blur[20])


def test_a_changed_picture_is_looked_at_again_and_only_that_one(
    tmp_path: Path, opened: list[bytes]
) -> None:
    before = [face(number) for number in range(10)]
    out = a_dataset(tmp_path, before)
    bright = Material(out).looks["brightness"]
    after = [*before[:4], dark(before[4]), *before[5:]]
    a_dataset(tmp_path, after)
    opened.clear()
    now = Material(out).looks["brightness"]
    assert opened == [encode(after[4], "png", 95)]
    assert np.flatnonzero(now[:20] != bright[:20]).tolist() == [4, 14]
    assert (now[[4, 14]] < bright[[4, 14]] / 2).all()


def test_a_raw_file_that_changed_behind_the_index_is_read_each_time(
    tmp_path: Path, opened: list[bytes]
) -> None:
    out = a_dataset(tmp_path, [face(0)])
    assert Material(out).headers[0].kind == "PNG"
    path = tmp_path / "raw" / str(Material(out).index["path"][0].as_py())
    path.write_bytes(encode(face(1), "jpg", 95))
    opened.clear()
    for _ in range(2):
        assert Material(out).headers[0].kind == "JPEG"
    assert opened == [path.read_bytes()] * 2


def test_another_rendering_of_the_same_crops_is_measured_anew(
    tmp_path: Path, opened: list[bytes]
) -> None:
    out = a_dataset(tmp_path, [face(0)])
    assert np.isnan(Material(out).looks["person"]).all()
    painted = '[recipe.render.background]\nmode = "color"\ncolor = [0, 0, 0]\n'
    (out / "dataset.toml").write_text(painted)
    opened.clear()
    assert np.isfinite(Material(out).looks["person"][:20]).all()
    assert len(opened) == 1


def test_crops_without_a_digest_are_measured_each_time(tmp_path: Path, opened: list[bytes]) -> None:
    row = record(names(1)[0], "normal")
    out = write_dataset(tmp_path, [row], {str(row["path"]): face()})
    for _ in range(2):
        assert np.isfinite(Material(out).looks["blur"]).all()
    assert len(opened) == 2
    assert not (out / ".store").exists()


def test_pixel_statistics_are_not_computed_twice(tmp_path: Path, opened: list[bytes]) -> None:
    out = a_dataset(tmp_path, [face(0), face(1)])
    rows = Material(out).index.select(list(pixelstats.PIXEL_COLUMNS)).to_pylist()[:20]
    first = pixelstats.measure_crops(out, rows, (0, 0, 0))
    assert len(opened) == 2
    assert pixelstats.measure_crops(out, rows, (0, 0, 0)) == first
    assert len(opened) == 2
    files = [pixelstats.crop_file(out, row) for row in rows]
    assert list(pixelstats.measure(files, (0, 0, 0))) == first


def test_photographs_are_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []
    real = duplicates.agreement

    def counted(*pictures: Small) -> float:
        compared.append(pictures)
        return real(*pictures)

    monkeypatch.setattr(duplicates, "agreement", counted)
    out = a_dataset(tmp_path, [face(0)])
    one = write_dataset(out, _alike(out))
    first = Material(one).photographs.links
    assert compared
    compared.clear()
    assert Material(one).photographs.links == first
    assert compared == []


def _alike(out: Path) -> list[dict[str, object]]:
    """Return the records of a dataset with files of their own and the same hash."""
    rows = Material(out).index.to_pylist()
    return [
        row | {"digest": DIGESTS[0][:31] + bytes([n]), "phash": 7} for n, row in enumerate(rows)
    ]


def values(kept: Measured, keys: Sequence[bytes | None], known: dict[int, str | None]) -> list[int]:
    """Ask for values, and return the rows that had to be measured."""
    asked: list[int] = []

    def measure(rows: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        asked.extend(rows)
        for row in rows:
            yield row, known[row]

    found = kept.of(keys, DIGESTS[: len(keys)], measure)
    assert all(known[row] in {found[row], None} for row in asked)
    return asked


def test_what_cannot_be_read_is_tried_again_also_by_another_of_the_same_content(
    tmp_path: Path,
) -> None:
    kept = Measured(tmp_path, "looks")
    one, two = kept.key("one"), kept.key("two")
    assert values(kept, [one, one, two, None], {0: None, 1: "b", 2: None, 3: "d"}) == [0, 2, 3, 1]
    assert values(kept, [one, one, two, None], {0: "?", 1: "?", 2: "c", 3: "d"}) == [2, 3]


def test_a_damaged_fragment_costs_time_alone(tmp_path: Path) -> None:
    kept = Measured(tmp_path, "looks")
    key = kept.key("one")
    assert values(kept, [key], {0: "a"}) == [0]
    (file,) = (tmp_path / ".store").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    assert values(kept, [key], {0: "a"}) == [0]
    assert values(kept, [key], {0: "?"}) == []


def test_where_nothing_can_be_written_it_is_measured_each_time(tmp_path: Path) -> None:
    (tmp_path / ".store").write_text("a file where the folder should be")
    kept = Measured(tmp_path, "looks")
    for _ in range(2):
        assert values(kept, [kept.key("one")], {0: "a"}) == [0]


def test_versions_and_kinds_have_values_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values(Measured(tmp_path, "looks"), [Measured(tmp_path, "looks").key("one")], {0: "a"})
    other = Measured(tmp_path, "moments")
    assert values(other, [other.key("one")], {0: "b"}) == [0]
    monkeypatch.setitem(measured.KINDS, "looks", 99)
    newer = Measured(tmp_path, "looks")
    assert values(newer, [newer.key("one")], {0: "c"}) == [0]
    measured.prune(tmp_path, set(DIGESTS))
    folders = {path.name for path in (tmp_path / ".store" / measured.FOLDER).iterdir()}
    assert folders == {"looks-99", f"moments-{measured.KINDS['moments']}"}


def test_what_is_about_pictures_that_are_gone_is_dropped(tmp_path: Path) -> None:
    kept = Measured(tmp_path, "looks")
    keys = [kept.key(number) for number in range(10)]
    values(kept, keys, {number: str(number) for number in range(10)})
    left = tmp_path / ".store" / measured.FOLDER / f"looks-{measured.KINDS['looks']}" / "half.tmp"
    left.write_text("of an audit that was killed")
    measured.prune(tmp_path, set(DIGESTS[:4]))
    assert not left.exists()
    assert set(kept.read()) == set(keys[:4])
    assert values(kept, keys[:4], {}) == []


def test_large_values_are_found_without_reading_all_and_old_ones_dropped(tmp_path: Path) -> None:
    kept = Measured(tmp_path, "strips")
    keys = [kept.key(number) for number in range(40)]
    for start in range(0, 40, 4):
        part = keys[start : start + 4]
        kept.write([Entry(DIGESTS[0], key, key.hex(), None) for key in part])
    files = list((tmp_path / ".store").rglob("*.parquet"))
    assert len(files) < 10
    assert sum(fragments.count_rows(file) for file in files) == 40
    located = kept.locate(keys[:9])
    assert [located.find(key) for key in keys[:10]] == [*(key.hex() for key in keys[:9]), None]
    kept.drop(set(keys[:9]), beyond=31)
    assert len(kept.read()) == 40
    kept.drop(set(keys[:9]), beyond=30)
    assert set(kept.read()) == set(keys[:9])
