"""A record on its way: what is not to be opened again is not known either."""

from pathlib import Path

from facecrop.images.codec import Limits
from facecrop.images.picture import Item, Picture


def test_what_killed_a_worker_has_no_findings_of_earlier_runs(tmp_path: Path) -> None:
    """Else its crop would be made of them, from pixels that nobody may decode."""
    known = Item("a.jpg", "a.jpg", "a", 1, 1, b"d" * 32, None)
    picture = Picture(known, tmp_path, Limits(), fault="decoder-crash")
    assert picture.know_digest() is None
    assert (picture.fault, picture.reads) == ("decoder-crash", 0)
