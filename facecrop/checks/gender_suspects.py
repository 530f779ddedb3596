"""People whose pictures, to models that had not seen them, speak for the other gender."""

from collections.abc import Iterator

import numpy as np

from facecrop.checks.check import Check, Issue, Proposal, issue_key
from facecrop.checks.material import Material
from facecrop.checks.outoffold import identities, paths_of
from facecrop.checks.person_labels import doubt_people
from facecrop.index import GENDERS


def _find(material: Material) -> Iterator[Issue]:
    doubted = doubt_people(material, "gender", GENDERS)
    if doubted is None:
        return
    said, people, found = doubted.said, doubted.people, doubted.found
    for person in np.flatnonzero(found.wrong > material.limits.suspect).tolist():
        was = int(doubted.given[person])
        now = 1 - was  # of two
        pictures = people.pictures(person)
        pictures = pictures[np.argsort(-said.log_p[pictures, now], kind="stable")]
        against = int(said.votes[pictures, now].sum())
        votes = int(said.votes[pictures].sum())
        rows = said.rows[pictures]
        chance = float(found.wrong[person])
        yield Issue(
            CHECK.name,
            CHECK.severity,
            people.names[person],
            paths_of(material, rows),
            f"labelled {GENDERS[was]}, seen as {GENDERS[now]} in {against} of {votes} predictions "
            f"of {len(pictures)} pictures",
            chance,
            issue_key(CHECK.name, *identities(material, rows), GENDERS[was]),
            (Proposal("gender", GENDERS[was], GENDERS[now]),),
            {
                "seen as": GENDERS[now],
                **{
                    f"p_{word}": round(float(found.truth[person, number]), 4)
                    for number, word in enumerate(GENDERS)
                },
                "predictions": float(votes),
                "against the label": float(against),
            },
        )


CHECK = Check(
    name="gender-suspect",
    title="people who look like the other gender in all their pictures together",
    severity="warning",
    cure="decide on the review page, then: facecrop relabel OUT --manifest FILE",
    needs=("predictions",),
    find=_find,
)
