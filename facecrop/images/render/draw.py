"""A picture with what was found in it drawn on it, for people to look at."""

import cv2
import numpy as np

from facecrop.images.choose.plan import Plan
from facecrop.images.findings import Alpha, Boxes, Findings, Point
from facecrop.images.frames import Box, Image
from facecrop.images.look.alpha import alpha_in
from facecrop.images.render.cut import resized

_GREEN, _AMBER, _BLUE, _WHITE, _PINK, _SHADE = (
    (64, 200, 110),
    (255, 176, 32),
    (80, 150, 255),
    (255, 255, 255),
    (255, 110, 190),
    (20, 20, 20),
)
_LINE = 1 / 200
"""Width of a line, as a fraction of the picture's shorter side."""
_DASH = 5
"""Length of a dash, in widths of the line."""
_MOST = 1200
"""Longer side of the drawn picture at most, pixels: it is looked at, not worked with."""
_INSIDE = 128


def draw(image: Image, plan: Plan, findings: Findings) -> Image:
    """Draw findings and plan on a picture.

    Pink line: outline of the matte. Blue: the chosen person, thin for others. Green: the chosen
    face with its landmarks; amber if no detector confirmed it; thin green: faces that were seen.
    White dashes: what is cut out, turned as it is.

    Args:
        image: (H, W, 3) uint8 RGB, upright; not altered.
        plan: What choose decided.
        findings: What look found.

    Returns:
        (H, W, 3) uint8 RGB, reduced to a longer side of 1200 if it is larger.
    """
    height, width = image.shape[:2]
    scale = min(_MOST / max(height, width), 1)
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    board = _Board(resized(image, *size).copy(), scale)
    if findings.alpha is not None:
        board.outline(findings.alpha, height, width)
    for boxes, colour in [
        (findings.persons, _BLUE),
        *((seen, _GREEN) for _, seen in findings.faces),
    ]:
        board.seen(boxes, colour)
    if plan.person is not None:
        board.box(plan.person.box, _BLUE)
    if plan.face is not None:
        colour = _GREEN if plan.status == "ok" else _AMBER
        board.box(plan.face.box, colour)
        board.points(plan.face.landmarks, colour)
    if plan.crop is not None:
        board.dashes(plan.crop, plan.rotation)
    return board.image


class _Board:
    """A picture to draw on, in the coordinates of a larger one."""

    def __init__(self, image: Image, scale: float) -> None:
        self.image = image
        self._scale = scale
        self._line = max(round(min(image.shape[:2]) * _LINE), 1)

    def box(self, box: Box, colour: tuple[int, int, int], *, thin: bool = False) -> None:
        """Draw a rectangle; a thick one on a dark line, to be seen on any ground."""
        first, last = self._at((box.x0, box.y0)), self._at((box.x1, box.y1))
        if not thin:
            cv2.rectangle(self.image, first, last, _SHADE, self._line + 2, cv2.LINE_AA)
        cv2.rectangle(self.image, first, last, colour, 1 if thin else self._line, cv2.LINE_AA)

    def seen(self, boxes: Boxes | None, colour: tuple[int, int, int]) -> None:
        """Draw all that a detector saw, thinly."""
        for candidate in boxes.candidates if boxes is not None else ():
            self.box(candidate.box, colour, thin=True)

    def points(self, points: tuple[Point, ...], colour: tuple[int, int, int]) -> None:
        """Draw landmarks."""
        for point in points:
            cv2.circle(self.image, self._at(point), self._line + 2, _SHADE, -1, cv2.LINE_AA)
            cv2.circle(self.image, self._at(point), self._line + 1, colour, -1, cv2.LINE_AA)

    def dashes(self, box: Box, rotation: float) -> None:
        """Draw a rectangle that is turned about its centre, as dashes."""
        middle = box.center
        # The picture is turned counter-clockwise, so on the picture the cut lies clockwise.
        turn = cv2.getRotationMatrix2D(middle, -rotation, 1)
        corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
        turned = [turn @ (x, y, 1) for x, y in corners]
        for start, end in zip(turned, [*turned[1:], turned[0]], strict=True):
            dash = _DASH * self._line / self._scale
            count = max(int(np.hypot(*(end - start)) / dash) // 2 * 2 + 1, 1)
            marks = np.linspace(start, end, count + 1)
            for number in range(count):
                colour = _SHADE if number % 2 else _WHITE
                first, last = self._at(tuple(marks[number])), self._at(tuple(marks[number + 1]))
                cv2.line(self.image, first, last, colour, self._line, cv2.LINE_AA)

    def outline(self, alpha: Alpha, height: int, width: int) -> None:
        """Draw where a matte is half there."""
        matte = alpha_in(alpha, Box(0, 0, width, height), *self.image.shape[:2])
        inside = (matte >= _INSIDE).astype(np.uint8)
        lines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(self.image, lines, -1, _PINK, self._line, cv2.LINE_AA)

    def _at(self, point: Point) -> tuple[int, int]:
        x, y = (round(self._scale * value) for value in point)
        return x, y
