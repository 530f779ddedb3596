"""Which records show one photograph, within a profile and across: for the checks on duplicates."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facecrop.checks.duplicates import find_duplicates
from facecrop.labels.groups import Groups, Link
from facecrop.labels.split_table import content_digests, digest_links

if TYPE_CHECKING:
    from facecrop.checks.material import Material


@dataclass(frozen=True, slots=True)
class Photographs:
    """Records that show one photograph.

    Args:
        groups: Rows of the index of each photograph that is there more than once, in order.
        links: What proves it, by the smallest row of the group.
    """

    groups: list[list[int]]
    links: Mapping[int, list[Link]]


def find_photographs(material: "Material") -> Photographs:
    """Find the photographs that are there more than once.

    Between profiles identical bytes prove it, or registered pixels. Within one only bytes do: two
    shots of a person before one wall, a moment apart, agree as well as two copies of a photograph.

    Args:
        material: The dataset.
    """
    index, limits = material.index, material.limits
    people = index["profile"].combine_chunks().dictionary_encode().indices
    people = people.to_numpy().astype(np.int64)

    found = find_duplicates(
        material.out,
        index.select,
        people,
        limits.radius,
        limits.agreement,
        each=material.each,
        report=material.report,
    )
    every = np.arange(len(index), dtype=np.int64)
    same = [Link(*rows, "bytes", 1.0) for rows in digest_links(content_digests(index), every)]
    joined = Groups(len(index))
    for link in (*same, *found.links):
        joined.join(link.first, link.second)
    groups: defaultdict[int, set[int]] = defaultdict(set)
    links: defaultdict[int, list[Link]] = defaultdict(list)
    for link in (*same, *found.links):
        name = joined.find(link.first)
        groups[name] |= {link.first, link.second}
        links[name].append(link)
    return Photographs([sorted(groups[name]) for name in sorted(groups)], links)
