"""Many drawn pictures, quickly: some are drawn, the rest are these with other bytes."""

from pathlib import Path

from facecrop.commands.demo import demo

_DRAWN_PROFILES = 300


def draw(raw: Path, images: int) -> int:
    """Write profiles of seven pictures each, at least so many images; return how many there are.

    Up to 2,100 are drawn. Further profiles repeat them with a comment in each JPEG, so that every
    file has bytes, and so a digest and findings, of its own.
    """
    profiles = -(-images // 7)
    demo(raw, profiles=min(profiles, _DRAWN_PROFILES), seed=11)
    originals = sorted(raw.iterdir())
    for number in range(_DRAWN_PROFILES, profiles):
        original = originals[number % _DRAWN_PROFILES]
        copy = raw / f"{number:06d}-9{original.name[6:]}"
        copy.mkdir()
        comment = f"copy {number}".encode()
        segment = b"\xff\xfe" + (2 + len(comment)).to_bytes(2) + comment
        for file in original.iterdir():
            data = file.read_bytes()
            (copy / file.name).write_bytes(data[:2] + segment + data[2:])
    return 7 * profiles
