"""The prior: where a face would be on somebody whose place is known."""

from facecrop.images.frames import Box

_HEADS_WIDE = 2.0
"""Shoulders are two heads wide: the rule of drawing schools, for a person seen from the front."""

_LEAST_HEADS_TALL = 2.0
"""A portrait shows two heads' height at least: the head, and as much below it."""

_CROWN = 0.2
"""Hair above the forehead, as a part of the head's height."""

_FACE_WIDTH = 0.75
"""Width of a face as a part of its height from forehead to chin."""


def prior_face(person: Box) -> Box:
    """Return where the face of a person is likely to be: at the top of the box, in its middle.

    Args:
        person: Box around the visible part of a person, in pixels of the source.
    """
    head = min(person.width / _HEADS_WIDE, person.height / _LEAST_HEADS_TALL)
    top, bottom = person.y0 + _CROWN * head, person.y0 + head
    middle, half = person.center[0], _FACE_WIDTH * (bottom - top) / 2
    return Box(middle - half, top, middle + half, bottom).quantised()
