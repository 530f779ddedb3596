"""Seven pictures of one person: drawn once, then masked, lit, posed and photographed."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from facecrop.demo.body import draw_body
from facecrop.demo.face import Shape, draw_skin, shape_of
from facecrop.demo.features import draw_features
from facecrop.demo.glasses import draw_glasses
from facecrop.demo.hair import draw_back, draw_front, shadow_on
from facecrop.demo.light import (
    FRAME_HEIGHT,
    FRAME_WIDTH,
    Framing,
    Surface,
    bounds,
    draw_camera,
    draw_framing,
    draw_light,
    normals_of,
    photograph,
    pose_map,
    shade,
)
from facecrop.demo.looks import looks_of
from facecrop.demo.masks import Fabric, draw_fabric, put_on
from facecrop.demo.people import FILES, Person, Wear
from facecrop.demo.scene import draw_scene, look_at
from facecrop.demo.strokes import (
    EYES,
    F32,
    U8,
    UNIT,
    Layer,
    Window,
    filled,
    new_layer,
    saturated,
    whole,
)
from facecrop.images.frames import Box

_FOREHEAD = -0.95  # the face box begins here, whatever the hair hides: drawing units above the eyes
_HAIR_LIFT = 24.0  # pixels towards us, so that shoulders and cheeks do not show through hair
_GRAIN = 576  # side of the tile of film grain


@dataclass(frozen=True, slots=True)
class Portrait:
    """One picture.

    Args:
        image: (512, 384, 3) uint8, RGB.
        alpha: (512, 384) uint8, 255 on the person.
        face: Around the skin from forehead to chin and cheek to cheek, ears apart.
    """

    image: U8
    alpha: U8
    face: Box


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A person before any picture is taken.

    Args:
        under: All but the front hair: a mask goes between the two.
        hair: The front hair.
        scratch: A copy of `under` to draw a mask on; restored after each picture.
        bare: `under` and hair together.
        surface: What light falls on without a mask.
        shape: Outline of the face.
        oval: (HEIGHT, WIDTH) uint8, 255 where the face box must reach.
        scene: The room.
        framing: Where the person sits in it.
    """

    under: Layer
    hair: Layer
    scratch: Layer
    bare: Layer
    surface: Surface
    shape: Shape
    oval: U8
    scene: U8
    framing: Framing


def portraits(
    seed: int, person: Person, names: Sequence[str] = tuple(FILES)
) -> Iterator[tuple[str, Portrait]]:
    """Draw pictures of a person, all seven or some of them, by file stem."""
    drawn = _draw(seed, person)
    for k, name in enumerate(FILES):
        if name not in names:
            continue
        rng = np.random.default_rng([seed, person.number, 2, k])
        scene = look_at(drawn.scene, rng, float(rng.normal(1.0, 0.05)))
        yield name, _take(drawn, person, name, rng, scene)


def empty_scene(seed: int, number: int) -> U8:
    """Return a picture of a room with nobody in it."""
    rng = np.random.default_rng([seed, number, 3])
    return _develop(look_at(draw_scene(rng), rng, 1.0), rng)


def pair(seed: int, person: Person, other: Person, name: str) -> Portrait:
    """Draw a person with somebody smaller behind one shoulder; alpha and box are the person's."""
    rng = np.random.default_rng([seed, person.number, 4])
    behind = _take(_draw(seed, other), other, "normal", rng, None)
    drawn = _draw(seed, person)
    scene = look_at(drawn.scene, rng, 1.0)
    side = 1 if rng.random() < 0.5 else -1
    place = np.array([[0.52, 0, 92 + 105 * side], [0, 0.52, 130]], np.float32)
    size = (FRAME_WIDTH, FRAME_HEIGHT)
    alpha = saturated(cv2.warpAffine(behind.alpha, place, size))
    scene = _over(scene, saturated(cv2.warpAffine(behind.image, place, size)), alpha)
    return _take(drawn, person, name, rng, scene)


def _draw(seed: int, person: Person) -> _Drawn:
    rng = np.random.default_rng([seed, person.number, 1])
    looks = looks_of(person, rng)
    shape = shape_of(looks)
    layer = new_layer()
    draw_back(layer, looks, rng)
    draw_body(layer, looks, shape, rng)
    draw_skin(layer, looks, shape, rng)
    draw_features(layer, looks, shape, rng)
    hair = draw_front(looks, shape, rng)
    shadow_on(layer, hair)
    if looks.glasses:
        draw_glasses(layer, looks, rng)
    oval = (255 * whole(filled(shape.outline))).astype(np.uint8)
    oval[: int(EYES[1] + _FOREHEAD * UNIT)] = 0
    bare = _copy(layer)
    y, x = (np.flatnonzero(hair.alpha.max(axis=axis)) for axis in (1, 0))
    window = slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1)
    part = _combine(layer, hair, window)
    bare.colour[window], bare.alpha[window], bare.relief[window] = (
        part.colour,
        part.alpha,
        part.relief,
    )
    surface = Surface(saturated(bare.colour), normals_of(bare.relief))
    return _Drawn(
        layer, hair, _copy(layer), bare, surface, shape, oval, draw_scene(rng), draw_framing(rng)
    )


def _copy(layer: Layer) -> Layer:
    return Layer(layer.colour.copy(), layer.alpha.copy(), layer.relief.copy())


def _combine(under: Layer, hair: Layer, window: Window) -> Layer:
    """Return hair over the rest, within a window."""
    alpha = hair.alpha[window]
    colour = under.colour[window].copy()
    for channel in range(3):  # numpy is slow where the last axis has length 3
        plane = colour[..., channel]
        plane += (hair.colour[window][..., channel] - plane) * alpha
    return Layer(
        colour,
        np.maximum(under.alpha[window], alpha),
        under.relief[window] * (1 - 0.75 * alpha)
        + alpha * (0.6 * hair.relief[window] + _HAIR_LIFT),
    )


def _masked(drawn: _Drawn, wear: Wear, fabric: Fabric) -> tuple[Surface, F32, U8]:
    """Return what light falls on, its relief and its alpha, with the mask of one picture.

    Only the window that the mask changes is worked out again.
    """
    bare, under = drawn.bare, drawn.under
    alpha = (255 * bare.alpha + 0.5).astype(np.uint8)
    layer = drawn.scratch
    window = put_on(layer, drawn.shape, wear, fabric)
    if window is None:
        return drawn.surface, bare.relief, alpha
    part = _combine(layer, drawn.hair, window)
    for mine, original in (
        (layer.colour, under.colour),
        (layer.alpha, under.alpha),
        (layer.relief, under.relief),
    ):
        mine[window] = original[window]
    colour, relief = drawn.surface.colour.copy(), bare.relief.copy()
    colour[window] = saturated(part.colour)
    relief[window] = part.relief
    alpha[window] = 255 * part.alpha + 0.5
    return Surface(colour, drawn.surface.normals, (window, normals_of(part.relief))), relief, alpha


def _take(
    drawn: _Drawn, person: Person, name: str, rng: np.random.Generator, scene: U8 | None
) -> Portrait:
    """Take one picture; without a scene it is not developed, to be laid into another picture."""
    framing, pose = draw_camera(rng, drawn.framing)
    light, fabric = draw_light(rng), draw_fabric(rng)
    surface, relief, opaque = _masked(drawn, person.wears[name], fabric)
    maps = pose_map(framing, pose, relief)
    seen = photograph(maps, saturated(cv2.merge([shade(surface, light), opaque])))
    image = saturated(cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB))
    alpha = saturated(cv2.extractChannel(seen, 3))
    face = bounds(maps, drawn.oval)
    if scene is not None:
        image = _develop(_over(scene, image, alpha), rng)
    return Portrait(image, alpha, face)


def _over(scene: U8, image: U8, alpha: U8) -> U8:
    a = cv2.merge([alpha] * 3)
    front = cv2.multiply(image, a, scale=1 / 255)
    back = cv2.multiply(scene, cv2.bitwise_not(a), scale=1 / 255)
    return saturated(cv2.add(front, back))


def _develop(image: U8, rng: np.random.Generator) -> U8:
    """Add what lens and film add: darker corners, grain."""
    dark = float(rng.uniform(0.02, 0.16))
    developed = cv2.multiply(image, _vignette(round(50 * dark)), scale=1 / 255)
    amount = float(rng.uniform(0.35, 0.9))
    dx, dy = rng.integers(0, (_GRAIN - FRAME_WIDTH, _GRAIN - FRAME_HEIGHT))
    grain = _grain()[dy : dy + FRAME_HEIGHT, dx : dx + FRAME_WIDTH]
    if rng.random() < 0.5:
        grain = grain[:, ::-1]
    grain = np.ascontiguousarray(grain)
    return saturated(cv2.addWeighted(developed, 1.0, grain, amount, -128 * amount))


@lru_cache(maxsize=16)
def _vignette(percent: int) -> U8:
    ys = np.linspace(-1, 1, FRAME_HEIGHT)[:, None]
    xs = np.linspace(-0.8, 0.8, FRAME_WIDTH)[None]
    gain = 255 * (1 - 2 * percent / 100 * np.clip(xs**2 + ys**2 - 0.25, 0, None))
    return np.repeat(np.clip(gain, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@lru_cache(maxsize=1)
def _grain() -> U8:
    """Return a tile of film grain about 128: mostly brightness, a little colour, a little soft."""
    rng = np.random.default_rng(35)
    common = rng.standard_normal((_GRAIN, _GRAIN, 1))
    own = rng.standard_normal((_GRAIN, _GRAIN, 3))
    grain = cv2.GaussianBlur((common + 0.45 * own).astype(np.float32), (0, 0), 0.6)
    return np.clip(128 + 11 * grain, 0, 255).astype(np.uint8)
