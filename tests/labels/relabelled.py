"""A small dataset whose labels the tests of relabel correct."""

from pathlib import Path

from tables import a_dataset, people

WOMAN, MAN, OLD = "000020_female_Asian_50", "004418_male_Asian_20", "004348_male_Asian_59"


def a_small_dataset(out: Path) -> Path:
    return a_dataset(out, people(WOMAN, MAN, OLD))
