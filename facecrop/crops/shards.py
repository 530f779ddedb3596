"""Tar files of crops in WebDataset's convention: which crops go into which, and their bytes.

A tar is a function of the crops in it, and which crops go together is a function of all crops: so
the same dataset has the same tars, byte for byte, whatever was worked out when, where, by how many.
Cuts between tars follow from the crops near them, so that a change in one place moves no others.
"""

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from tarfile import USTAR_FORMAT, TarInfo

import numpy as np
from numpy.typing import NDArray

from facecrop.crops import FOLDER

SHARD_SIZE = 10_000
"""Crops of a tar at most; half of that at least, but for the last."""

END = bytes(1024)
"""What a tar ends with."""

BLOCK = 512
"""Bytes of a header; whatever follows one fills whole blocks."""
_MODE = 0o644
_NAMED = 16
"""Digits of a digest in a name."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_/-]")
_LONGEST_PART, _KEPT_OF_IT = 80, 60
"""Bytes of a part of a key, and of one that is longer: then come `~` and a digest."""
_LONGEST_ABOVE = 150
"""Bytes of all parts of a key but the last: ustar has room for 155 of them, and for 100 of the last
with its extension. Five stay unused: another bound would be another name of crops that have one."""


def key_of(image: str) -> str:
    r"""Return what a crop is called in its tar, without its extension.

    To WebDataset a name ends at its first dot, and what begins with two underscores is no sample;
    not all tools read other letters than ASCII. So everything else is written as in a URL; names
    that are too long are cut, and get a digest.

    >>> key_of("images/000001_female_Asian_45/mask1.jpg"), key_of("images/a.b/ü.png.jpg")
    ('000001_female_Asian_45/mask1', 'a%2Eb/%C3%BC%2Epng')
    """
    target = image.removeprefix(f"{FOLDER}/").rpartition(".")[0]
    key = _UNSAFE.sub(_escaped, target)
    if key.startswith("__"):
        key = f"%5F{key[1:]}"
    parts = [_cut(part) for part in key.split("/")]
    key = "/".join(parts)
    above = len(key) - len(parts[-1]) - 1
    return key if above <= _LONGEST_ABOVE else _digest(image.encode())


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _cut(part: str) -> str:
    if len(part) <= _LONGEST_PART:
        return part
    return f"{part[:_KEPT_OF_IT]}~{_digest(part.encode())}"


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:_NAMED]


def cut(digests: NDArray[np.uint64]) -> int:
    """Return after how many crops a tar ends.

    That is after the one with the smallest digest in the second half of those it could hold: tars
    of two sequences that differ in one place are soon the same again.

    Args:
        digests: (M,) `fragments.prefixes` of all it could hold; there are more crops behind them.
    """
    least = (len(digests) - 1) // 2
    return least + int(digests[least:].argmin()) + 1


def name_of(images: Sequence[str], paths: Sequence[str], digests: Sequence[bytes]) -> str:
    """Return the name of a tar, by what is in it."""
    all_of_it = sha256()
    for image, path, digest in zip(images, paths, digests, strict=True):
        all_of_it.update(f"{image}\0{path}\0".encode())
        all_of_it.update(digest)
    return f"shard-{all_of_it.hexdigest()[:_NAMED]}.tar"


def member(image: str, path: str, digest: bytes, data: bytes) -> bytes:
    """Return the bytes of a crop in its tar, with its header, up to the next crop.

    The second file is JSON: what the crop is called, and whose it is. What may change while the
    crop stays as it is, its labels above all, is not in it.

    Args:
        image: The crop, as the index names it.
        path: Its record.
        digest: sha256 of its bytes.
        data: Its bytes.
    """
    key, extension = key_of(image), image.rpartition(".")[2]
    text = _said(image, path, digest)
    return b"".join(
        (
            header(f"{key}.{extension}", len(data)),
            data,
            bytes(-len(data) % BLOCK),
            header(f"{key}.json", len(text)),
            text,
            bytes(-len(text) % BLOCK),
        )
    )


def member_bytes(image: str, path: str, digest: bytes, size: int) -> int:
    """Return how many bytes a crop takes in its tar."""
    return 2 * BLOCK + sum(
        -(-one // BLOCK) * BLOCK for one in (size, len(_said(image, path, digest)))
    )


def _said(image: str, path: str, digest: bytes) -> bytes:
    said = {"image": image, "path": path, "sha256": digest.hex()}
    return json.dumps(said, sort_keys=True).encode()


def header(name: str, size: int) -> bytes:
    """Return the header of a member: no times and no owners, so that equal crops are equal tars.

    It is that of `tarfile`, in a tenth of its time.

    Args:
        name: Of the member; ASCII.
        size: Bytes.
    """
    if len(name) > _NAME_BYTES:
        return _by_tarfile(name, size)
    # Source: POSIX.1-1988, ustar. The sum is over all bytes, its own eight taken for blanks.
    place, length = name.encode("ascii"), b"%011o" % size
    total = _BLANK_SUM + sum(place) + sum(length)
    return b"".join(
        (
            place.ljust(_NAME_BYTES, b"\0"), _BLANK[_NAME_BYTES:_SIZE], length,
            _BLANK[_SIZE + len(length) : _SUM], b"%06o\0 " % total, _BLANK[_SUM + 8 :],
        )
    )  # fmt: skip


def _by_tarfile(name: str, size: int) -> bytes:
    info = TarInfo(name)
    info.size, info.mode = size, _MODE
    return info.tobuf(USTAR_FORMAT, "ascii", "strict")


_NAME_BYTES, _SIZE, _SUM = 100, 124, 148
"""Where in a header the name ends, and where the size and the sum begin."""
_BLANK = _by_tarfile("", 0)
_BLANK_SUM = sum(_BLANK[:_SUM]) + 8 * ord(" ") + sum(_BLANK[_SUM + 8 :]) - 11 * ord("0")
"""Of a header without name and size."""
