"""Paths as text: reversible for any bytes a file system holds, safe to use below OUT."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

_ESCAPE = re.compile("%([0-9A-F]{2})")
LONGEST_NAME = 240
"""Bytes of a file name that leave room for an extension; common file systems allow 255."""


def escape(path: str) -> str:
    r"""Return a path as valid Unicode; bytes that are no UTF-8 become `%XX`, and `%` becomes `%25`.

    >>> escape("100%/caf\udce9.jpg")
    '100%25/caf%E9.jpg'
    """
    if "%" not in path and path.isascii():
        return path
    return "".join(
        f"%{ord(char) - 0xDC00:02X}" if 0xDC80 <= ord(char) <= 0xDCFF else char  # noqa: PLR2004 - surrogates of Python's surrogateescape (PEP 383)
        for char in path.replace("%", "%25")
    )


def unescape(path: str) -> str:
    """Return the path that `escape` was given, ready for the file system."""
    if "%" not in path:
        return path
    return _ESCAPE.sub(_unescaped, path)


def _unescaped(match: re.Match[str]) -> str:
    byte = int(match[1], 16)
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)  # noqa: PLR2004 - ASCII ends there


def same_name(name: str) -> str:
    """Return a key that is equal for names that some file system takes for one: NFC, case-blind."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def crop_names(profiles: Sequence[str], names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return where each record's crop lies below `images/`, without its extension.

    It is `<profile>/<name>`; where files of a profile share a stem they keep their extension
    (`normal.png`), and where that is not enough they keep a digest of their path.
    """
    wanted = [f"{profile}/{name}" for profile, name in zip(profiles, names, strict=True)]
    shared = _shared(wanted)
    if not shared and all(len(path.encode()) <= LONGEST_NAME for path in paths):
        return wanted
    wanted = [
        name + (path[path.rfind(".") :].lower() if same_name(name) in shared else "")
        for name, path in zip(wanted, paths, strict=True)
    ]
    still = _shared(wanted)
    return [
        _marked(name, path) if same_name(name) in still else _fitting(name, path)
        for name, path in zip(wanted, paths, strict=True)
    ]


def _shared(names: Sequence[str]) -> set[str]:
    if len({same_name(name) for name in names}) == len(names):
        return set()
    return {name for name, count in Counter(map(same_name, names)).items() if count > 1}


def _marked(name: str, path: str) -> str:
    return _fitting(f"{name}.{sha256(path.encode()).hexdigest()[:8]}", path)


def _fitting(name: str, path: str) -> str:
    """Shorten each part that a file system would refuse, keeping it unique by a digest."""
    parts = name.split("/")
    mark = f"~{sha256(path.encode()).hexdigest()[:8]}"
    folder_mark = f"~{sha256('/'.join(parts[:-1]).encode()).hexdigest()[:8]}"
    cut = [_cut(part, folder_mark) for part in parts[:-1]]
    return "/".join([*cut, _cut(parts[-1], mark)])


def _cut(part: str, mark: str) -> str:
    data = part.encode()
    if len(data) <= LONGEST_NAME:
        return part
    return data[: LONGEST_NAME - len(mark)].decode(errors="ignore") + mark
