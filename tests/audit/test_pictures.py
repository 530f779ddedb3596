"""Pictures in a terminal, read back by small readers of each protocol."""

import re
from base64 import b64decode

import numpy as np
import pytest

from facecrop.cli.pictures import Pictures, detect, draw
from facecrop.images.codec import decode
from facecrop.images.frames import Image


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, Pictures.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "3"}, Pictures.KITTY),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, Pictures.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, Pictures.ITERM2),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, Pictures.ITERM2),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Pictures.ITERM2),
        ({"TERM": "foot"}, Pictures.SIXEL),
        ({"TERM": "xterm-sixel"}, Pictures.SIXEL),
        ({"TERM": "xterm-256color"}, Pictures.BLOCKS),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, Pictures.NONE),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "3"}, Pictures.BLOCKS),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, Pictures.BLOCKS),  # noqa: S108 - no file
        ({"TERM": "dumb"}, Pictures.NONE),
        ({}, Pictures.NONE),
    ],
)
def test_a_terminal_is_known_by_what_it_says_of_itself(
    environment: dict[str, str], expected: Pictures
) -> None:
    assert detect(environment, terminal=True) is expected
    assert detect(environment, terminal=False) is Pictures.NONE


@pytest.fixture
def image() -> Image:
    """Four quarters: red, green, blue, white."""
    pixels = np.zeros((80, 60, 3), np.uint8)
    pixels[:40, :30, 0] = pixels[:40, 30:, 1] = pixels[40:, :30, 2] = 255
    pixels[40:, 30:] = 255
    return pixels


def quarters(image: Image) -> list[list[int]]:
    height, width = image.shape[:2]
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4),
              (3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]  # fmt: skip
    return [[round(int(value) / 255) for value in image[place]] for place in places]


COLOURS = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]


def test_kitty_gets_a_png_in_chunks_that_it_takes(image: Image) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    for picture in (image, noise):
        codes = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", draw(picture, Pictures.KITTY))
        assert all(len(data) <= 4096 for _, data in codes)
        assert [keys.rpartition("m=")[2] for keys, _ in codes] == ["1"] * (len(codes) - 1) + ["0"]
        assert codes[0][0].startswith("a=T,f=100,q=2,c=16,r=")
        shown = decode(b64decode("".join(data for _, data in codes))).image
        assert shown is not None
        np.testing.assert_array_equal(shown, picture)


def test_iterm2_gets_a_file_with_its_size(image: Image) -> None:
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([^\a]*)\a\n", draw(image, Pictures.ITERM2))
    assert found is not None
    data = b64decode(found[2])
    assert f"size={len(data)};width=16;" in found[1]
    shown = decode(data).image
    assert shown is not None
    assert quarters(shown) == COLOURS


def read_sixel(text: str) -> Image:
    """Return the picture that sixel codes draw."""
    found = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)(.*)\x1b\\\n', text, re.DOTALL)
    assert found is not None
    shown = np.zeros((int(found[2]) + 6, int(found[1]), 3), np.uint8)
    palette: dict[str, list[int]] = {}
    x = y = 0
    colour = ""
    for code in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|\$|-|[?-~]", found[3]):
        if ";" in code:
            number, _, *parts = code[1:].split(";")
            palette[number] = [round(int(part) * 2.55) for part in parts]
        elif code[0] == "#":
            colour = code[1:]
        elif code == "$":
            x = 0
        elif code == "-":
            x, y = 0, y + 6
        else:
            for bit in range(6):
                if ord(code) - 63 >> bit & 1:
                    shown[y + bit, x] = palette[colour]
            x += 1
    return shown[: int(found[2])]


def test_sixels_draw_the_picture(image: Image) -> None:
    shown = read_sixel(draw(image, Pictures.SIXEL))
    assert shown.shape == (220, 160, 3)
    assert quarters(shown) == COLOURS


def test_half_blocks_carry_two_pixels_each(image: Image) -> None:
    lines = draw(image, Pictures.BLOCKS, columns=12).splitlines()
    cell = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+)m\x1b\[48;2;(\d+);(\d+);(\d+)m\u2580")
    rows = []
    for line in lines:
        cells = [[int(part) for part in match] for match in cell.findall(line)]
        assert len(cells) == 12
        assert line.endswith("\x1b[0m")
        rows += [[one[:3] for one in cells], [one[3:] for one in cells]]
    assert quarters(np.array(rows, np.uint8)) == COLOURS


@pytest.mark.parametrize("how", [how for how in Pictures if how is not Pictures.AUTO])
@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3), (33, 47)])
def test_any_picture_can_be_drawn(how: Pictures, shape: tuple[int, int]) -> None:
    text = draw(np.full((*shape, 3), 90, np.uint8), how)
    assert (text == "") == (how is Pictures.NONE)
