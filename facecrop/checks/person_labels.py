"""How far the labels of persons are doubted, by all their pictures together."""

from collections.abc import Sequence
from dataclasses import dataclass

from facecrop.checks.material import Material
from facecrop.checks.outoffold import Ints, People, Said, codes, people_of, read_said
from facecrop.checks.suspects import OF_PERSONS, Doubt, doubt, evidence


@dataclass(frozen=True, slots=True)
class PersonLabels:
    """What is thought of P people's labels.

    Args:
        said: What models say of their pictures.
        people: Whose these are.
        given: (P,) labels.
        found: What is thought of them.
    """

    said: Said
    people: People
    given: Ints
    found: Doubt


def doubt_people(material: Material, axis: str, words: Sequence[str]) -> PersonLabels | None:
    """Work out how probable it is that each person's label is wrong; None if no model says any.

    Args:
        material: The dataset, with a run.
        axis: A label that is the person's: equal in all their pictures.
        words: Of the axis; people with none of them are left out.
    """
    said = read_said(material, axis, words)
    if said is None:
        return None
    given = codes(material.labels[axis], words, said.rows)
    said, given = said.where(given >= 0), given[given >= 0]
    people = people_of(material, said.rows)
    labels = given[people.first]
    weighed = evidence(said.log_p, given, people.person, people.kind)
    return PersonLabels(said, people, labels, doubt(weighed, labels, OF_PERSONS))
