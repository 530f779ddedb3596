"""Light, pose and camera: from a drawn person to a picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.demo.strokes import EYES, F32, U8, UNIT, Window, saturated
from facecrop.images.frames import Box

FRAME_WIDTH, FRAME_HEIGHT = 384, 512
"""Size of a picture."""

_COARSE = 4  # the pose is worked out on every fourth pixel and interpolated
_STEEPEST = 1.6  # slopes above it are silhouettes, not skin
_WRAP = 0.35
_GAIN_ONE = 140.0  # gains up to 1.8 fit 8 bits
_NECK = 1.75  # where the head turns, drawing units below the eyes


@dataclass(frozen=True, slots=True)
class Framing:
    """Where the face is in a person's pictures.

    Args:
        x: Of the point between the eyes, pixels of the picture.
        y: Likewise.
        scale: Pixels of the picture for a pixel of the canvas.
    """

    x: float
    y: float
    scale: float


@dataclass(frozen=True, slots=True)
class Maps:
    """Where on the canvas to look for each pixel of a picture.

    Args:
        coarse: x and y for every fourth pixel, (128, 96) float32.
        fine: For every pixel, in OpenCV's fixed-point form.
    """

    coarse: tuple[F32, F32]
    fine: tuple[NDArray[np.int16], NDArray[np.uint16]]


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is held: turned, nodded and tilted, in radians."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Light:
    """One lamp and the light of the room.

    Args:
        toward: Unit vector towards the lamp: right, down, to us.
        lamp: Its strength; 1 - lamp is the light from everywhere.
        tint: Factor of each channel.
        exposure: Factor of all of them.
    """

    toward: tuple[float, float, float]
    lamp: float
    tint: tuple[float, float, float]
    exposure: float


def draw_framing(rng: np.random.Generator) -> Framing:
    """Draw where a person sits; the spread follows the face boxes of the public task."""
    scale = float(np.clip(rng.normal(0.99, 0.06), 0.86, 1.14))
    return Framing(188 + 5 * float(rng.normal()), 238 + 14 * float(rng.normal()), scale)


def draw_camera(rng: np.random.Generator, framing: Framing) -> tuple[Framing, Pose]:
    """Draw the small differences between one picture and the next of the same person."""
    dx, dy, zoom = rng.normal(0, (3.0, 3.5, 0.012))
    moved = Framing(framing.x + dx, framing.y + dy, framing.scale * (1 + zoom))
    yaw, pitch, roll = np.clip(rng.normal(0, (0.10, 0.05, 0.035)), -0.26, 0.26)
    return moved, Pose(float(yaw), float(pitch), float(roll))


def draw_light(rng: np.random.Generator) -> Light:
    """Draw the light of one picture."""
    x, y = rng.normal(0, 0.45), rng.normal(-0.42, 0.18)
    toward = np.array([np.clip(x, -0.9, 0.9), y, 1.0])
    toward /= np.linalg.norm(toward)
    warm = rng.normal(0, 0.04)
    return Light(
        (float(toward[0]), float(toward[1]), float(toward[2])),
        float(rng.uniform(0.55, 0.85)),
        (1 + float(warm), 1.0, 1 - float(warm)),
        float(np.clip(rng.normal(1.0, 0.07), 0.8, 1.16)),
    )


@dataclass(frozen=True, slots=True)
class Surface:
    """What light falls on.

    Args:
        colour: (HEIGHT, WIDTH, 3) uint8.
        normals: (HEIGHT, WIDTH, 3) float32 unit vectors: right, down, towards us.
        patch: A window, and the normals that hold there instead.
    """

    colour: U8
    normals: F32
    patch: tuple[Window, F32] | None = None


def normals_of(relief: F32) -> F32:
    """Return (H, W, 3) unit normals of a relief."""
    smooth = cv2.GaussianBlur(relief, (0, 0), 0.9)
    gx = np.clip(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), -_STEEPEST, _STEEPEST)
    gy = np.clip(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8), -_STEEPEST, _STEEPEST)
    inverse = 1 / np.sqrt(gx * gx + gy * gy + 1)
    return np.asarray(cv2.merge([-gx * inverse, -gy * inverse, inverse]), np.float32)


def shade(surface: Surface, light: Light) -> U8:
    """Return (HEIGHT, WIDTH, 3) uint8: colours as the lamp shows them on the relief.

    Light is worked out in 256 steps and looked up: steps are finer than the grain that follows.
    """
    # Lamp in 8 bits: 0 where it does not reach, 255 where we look along its rays. Light wraps
    # round a little: skin scatters, rooms reflect.
    gain = 255 / (1 + _WRAP)
    row = np.array([[*(gain * part for part in light.toward), gain * _WRAP]], np.float32)
    lamp8 = saturated(cv2.transform(surface.normals, row))
    if surface.patch is not None:
        window, normals = surface.patch
        lamp8[window] = saturated(cv2.transform(normals, row))
    factor = light.exposure * np.array(light.tint)
    steps = np.arange(256) / 255
    level = (1 - light.lamp) * 0.95 + light.lamp * 1.16 * steps
    # Shadows on skin are red: the red channel loses less light than the blue one.
    soft = np.array([0.22, 0.05, 0.0])
    gains = (level[:, None] * (1 - soft) + np.sqrt(level)[:, None] * soft) * factor
    facing = np.maximum(steps * (1 + _WRAP) - _WRAP, 0)
    gloss = np.round(9 * light.lamp * facing**24)
    table = np.clip(_GAIN_ONE * gains, 0, 255).round().astype(np.uint8)[:, None]
    three = cv2.merge([lamp8] * 3)
    lit = cv2.multiply(surface.colour, cv2.LUT(three, table), scale=1 / _GAIN_ONE)
    shine = cv2.LUT(lamp8, gloss.astype(np.uint8))
    return saturated(cv2.add(lit, cv2.merge([shine] * 3)))


def pose_map(framing: Framing, pose: Pose, relief: F32) -> Maps:
    """Return where each pixel of the picture lies on the canvas."""
    # Coarse pixels stand where cv2.resize expects them: in the middle of the fine ones.
    middle = (_COARSE - 1) / 2
    y, x = (
        np.mgrid[0 : FRAME_HEIGHT // _COARSE, 0 : FRAME_WIDTH // _COARSE].astype(np.float32)
        * _COARSE
        + middle
    )
    qx = (x - framing.x) / (framing.scale * UNIT)
    qy = (y - framing.y) / (framing.scale * UNIT)
    # The head moves, the shoulders stay: weight 1 above the chin, 0 below the collar bone.
    weight = np.clip((2.4 - qy) / 1.5, 0, 1)
    weight = weight * weight * (3 - 2 * weight)
    angle = -pose.roll * weight
    cos, sin = np.cos(angle), np.sin(angle)
    hx, hy = cos * qx - sin * (qy - _NECK), sin * qx + cos * (qy - _NECK) + _NECK
    depth = cv2.remap(relief, _canvas_x(hx), _canvas_y(hy), cv2.INTER_LINEAR) / UNIT * weight
    depth = cv2.GaussianBlur(depth, (0, 0), 1.2)
    hx = (hx - depth * np.sin(pose.yaw)) / (1 - weight * (1 - np.cos(pose.yaw)))
    hy = hy + (depth - 0.45 * weight) * np.sin(pose.pitch)
    size = (FRAME_WIDTH, FRAME_HEIGHT)
    coarse = (_canvas_x(hx), _canvas_y(hy))
    fine = [cv2.resize(one, size) for one in coarse]
    whole, between = cv2.convertMaps(fine[0], fine[1], cv2.CV_16SC2)
    return Maps(coarse, (np.asarray(whole, np.int16), np.asarray(between, np.uint16)))


def _canvas_x(x: NDArray[np.floating]) -> F32:
    return np.asarray(x * UNIT + EYES[0], np.float32)


def _canvas_y(y: NDArray[np.floating]) -> F32:
    return np.asarray(y * UNIT + EYES[1], np.float32)


def photograph(maps: Maps, image: U8) -> U8:
    """Return what the camera sees of something on the canvas, (512, 384[, C]) uint8."""
    seen = cv2.remap(image, *maps.fine, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return saturated(seen)


def bounds(maps: Maps, cover: U8) -> Box:
    """Return the box round what the camera sees of a cover of the canvas."""
    seen = cv2.remap(cover, *maps.coarse, cv2.INTER_LINEAR)
    full = cv2.resize(seen, (FRAME_WIDTH, FRAME_HEIGHT))
    x, y, width, height = cv2.boundingRect((full > 127).astype(np.uint8))  # noqa: PLR2004 - half of 255
    return Box(x, y, x + width, y + height)
