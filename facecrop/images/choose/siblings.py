"""The sibling rule: a person's other pictures tell where the face would be."""

from collections.abc import Sequence
from statistics import median

from facecrop.images.frames import Box


def sibling_face(faces: Sequence[Box]) -> Box | None:
    """Return the median box of a person's faces in other pictures of equal size, if there are any.

    Each side is the median of that side, so one wild box among three changes little, and the
    order of the pictures changes nothing.
    """
    if not faces:
        return None
    sides = zip(*(face.corners for face in faces), strict=True)
    return Box(*(median(side) for side in sides)).quantised()
