"""What is behind a person: rooms, walls, windows and trees, out of focus."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

import cv2
import numpy as np

from facecrop.demo.light import FRAME_HEIGHT, FRAME_WIDTH
from facecrop.demo.strokes import F32, U8, Colour, floats, mix, saturated

_PAD = 24  # room for the camera to move between two pictures
_HALF = 2  # a blurred scene needs only half the pixels
_WALLS: tuple[Colour, ...] = (
    (214, 212, 206), (196, 204, 210), (188, 176, 158), (150, 166, 160), (120, 136, 156),
    (206, 188, 176), (96, 104, 110), (170, 180, 150), (226, 222, 214), (140, 120, 110),
)  # fmt: skip
_KINDS = (
    "wall",
    "wall",
    "panels",
    "curtain",
    "shelf",
    "window",
    "bokeh",
    "garden",
    "bricks",
    "office",
)


def draw_scene(rng: np.random.Generator) -> U8:
    """Return a scene, (560, 432, 3) uint8, a little larger than a picture."""
    height, width = (FRAME_HEIGHT + 2 * _PAD) // _HALF, (FRAME_WIDTH + 2 * _PAD) // _HALF
    wall = _WALLS[int(rng.integers(len(_WALLS)))]
    scene = np.empty((height, width, 3), np.float32)
    scene[...] = wall
    kind = str(rng.choice(_KINDS))
    _DRAW[kind](scene, wall, rng)
    blur = float(rng.uniform(2.0, 4.5)) if kind not in {"wall", "panels", "curtain"} else 1.2
    scene = floats(cv2.GaussianBlur(scene, (0, 0), blur))
    _fall_off(scene, rng)
    size = (width * _HALF, height * _HALF)
    return saturated(cv2.resize(scene, size, interpolation=cv2.INTER_LINEAR))


def look_at(scene: U8, rng: np.random.Generator, exposure: float) -> U8:
    """Return the part of a scene that one picture shows, (512, 384, 3) uint8."""
    dx, dy = np.clip(rng.normal(0, 4, 2), -_PAD, _PAD).round().astype(int) + _PAD
    part = scene[dy : dy + FRAME_HEIGHT, dx : dx + FRAME_WIDTH]
    return saturated(cv2.convertScaleAbs(part, alpha=exposure))


def _fall_off(scene: F32, rng: np.random.Generator) -> None:
    height, width = scene.shape[:2]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.28)
    ys, xs = (
        np.linspace(-1, 1, height, dtype=np.float32)[:, None],
        np.linspace(-1, 1, width, dtype=np.float32)[None],
    )
    scene *= (1 + depth * (np.cos(angle) * xs + np.sin(angle) * ys) / 1.4)[..., None].astype(
        np.float32
    )


def _rectangles(scene: F32, boxes: np.ndarray, colours: list[Colour]) -> None:
    for (x0, y0, x1, y1), colour in zip(boxes.astype(int), colours, strict=True):
        cv2.rectangle(scene, (int(x0), int(y0)), (int(x1), int(y1)), colour, -1)


def _wall(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    height, width = scene.shape[:2]
    plaster = rng.standard_normal((height // 4, width // 4)).astype(np.float32)
    scene += 2.5 * cv2.resize(plaster, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    if rng.random() < 0.35:  # a picture on the wall
        x, y = rng.uniform(-0.1, 0.15) * width, rng.uniform(0.05, 0.25) * height
        side = -1 if rng.random() < 0.5 else 1
        x = x if side < 0 else width - x - 0.28 * width
        box = np.array(
            [
                [x, y, x + 0.28 * width, y + 0.26 * height],
                [x + 5, y + 5, x + 0.28 * width - 5, y + 0.26 * height - 5],
            ]
        )
        _rectangles(
            scene,
            box,
            [mix(wall, (40, 30, 24), 0.7), mix((110, 140, 160), wall, float(rng.random()))],
        )


def _panels(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    step = int(rng.integers(28, 64))
    for x in range(int(rng.integers(step)), scene.shape[1], step):
        cv2.line(scene, (x, 0), (x, scene.shape[0]), mix(wall, (0, 0, 0), 0.25), 2)
        cv2.line(scene, (x + 2, 0), (x + 2, scene.shape[0]), mix(wall, (255, 255, 255), 0.3), 1)


def _curtain(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    del wall
    x = np.linspace(0, 1, scene.shape[1], dtype=np.float32)
    phase, waves = rng.uniform(0, 6, 3), rng.uniform(14, 60, 3)
    folds = sum(np.sin(w * x + p) for w, p in zip(waves, phase, strict=True))
    scene *= (1 + 0.09 * np.asarray(folds, np.float32))[None, :, None]


def _shelf(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    height, width = scene.shape[:2]
    scene[...] = mix(wall, (60, 44, 34), 0.6)
    step = int(rng.integers(56, 76))
    for floor in range(step, height + step, step):
        x = 0.0
        while x < width:
            thick, tall = rng.uniform(5, 14), rng.uniform(0.55, 0.9) * step
            colour: Colour = (
                float(rng.uniform(40, 210)),
                float(rng.uniform(40, 190)),
                float(rng.uniform(40, 180)),
            )
            _rectangles(
                scene,
                np.array([[x, floor - tall, x + thick - 1, floor - 5]]),
                [mix(colour, wall, 0.3)],
            )
            x += thick
        _rectangles(scene, np.array([[0, floor - 5, width, floor]]), [mix(wall, (50, 36, 28), 0.8)])


def _window(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    height, width = scene.shape[:2]
    x = rng.uniform(-0.3, 0.5) * width
    box = np.array([[x, 0.04 * height, x + 0.75 * width, 0.66 * height]])
    _rectangles(scene, box, [(226, 234, 240)])
    _rectangles(
        scene,
        box + np.array([8, 0.3 * height, -8, -8]),
        [mix((130, 160, 120), (226, 234, 240), float(rng.uniform(0.2, 0.7)))],
    )
    frame = mix(wall, (250, 250, 250), 0.5)
    middle = x + 0.375 * width
    _rectangles(scene, np.array([[middle - 3, 0.04 * height, middle + 3, 0.66 * height]]), [frame])
    cv2.rectangle(
        scene, (int(x), int(0.04 * height)), (int(x + 0.75 * width), int(0.66 * height)), frame, 6
    )


def _bokeh(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    scene[...] = mix(wall, (20, 24, 40), 0.65)
    height, width = scene.shape[:2]
    for x, y, radius, warm in rng.random((38, 4)):
        colour: Colour = mix((250, 210, 140), (150, 190, 250), float(warm))
        cv2.circle(
            scene,
            (int(x * width), int(y * height)),
            int(5 + 13 * radius),
            mix(colour, wall, 0.5),
            -1,
        )


def _garden(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    del wall
    height, width = scene.shape[:2]
    scene[...] = (188, 206, 218)
    for cells, strength in ((9, 1.0), (22, 0.7), (48, 0.5)):
        noise = cv2.resize(
            rng.random((cells, cells), np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        leaves = np.clip((noise - 0.42) * 4, 0, 1)[..., None] * strength
        tone = np.array(mix((58, 92, 46), (128, 156, 84), float(rng.random())), np.float32)
        scene += (tone - scene) * leaves


def _bricks(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    height, width = scene.shape[:2]
    clay = mix((150, 86, 66), wall, float(rng.uniform(0, 0.8)))
    for row, y in enumerate(range(0, height, 15)):
        for x in range(-(row % 2) * 20, width, 40):
            tone = mix(clay, (40, 30, 30), 0.3 * float(rng.random()))
            _rectangles(scene, np.array([[x + 1, y + 1, x + 38, y + 13]]), [tone])


def _office(scene: F32, wall: Colour, rng: np.random.Generator) -> None:
    height, width = scene.shape[:2]
    boxes = rng.random((9, 4)) * [width, height, 0.4 * width, 0.4 * height]
    boxes[:, 2:] += boxes[:, :2] + 10
    colours = [
        mix(wall, (float(r), float(g), float(b)), 0.6) for r, g, b in rng.uniform(30, 230, (9, 3))
    ]
    _rectangles(scene, boxes, colours)


_DRAW = {
    "wall": _wall, "panels": _panels, "curtain": _curtain, "shelf": _shelf, "window": _window,
    "bokeh": _bokeh, "garden": _garden, "bricks": _bricks, "office": _office,
}  # fmt: skip
