"""Choose: from what the models saw in all pictures of a person, decide what to make of each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from facecrop.images.choose import gates
from facecrop.images.choose.plan import Plan
from facecrop.images.choose.prior import prior_face
from facecrop.images.choose.rules import Choose
from facecrop.images.choose.siblings import sibling_face
from facecrop.images.choose.subject import subject_face, subject_person
from facecrop.images.faces import Face, merge
from facecrop.images.findings import Candidate, Findings
from facecrop.images.frames import Box
from facecrop.images.look.cascade import Faces

__all__ = ["Choose", "Plan", "choose"]

Need = Literal["face", "person", "none"]
"""What a record must have to be `ok`."""


def choose(
    profile: Sequence[Findings], rules: Choose, faces: Faces | None, need: Need
) -> list[Plan]:
    """Decide about all pictures of one person: a pure function of numbers.

    A face that detectors saw makes a record `ok`. Without one, a face may be borrowed from
    siblings, then guessed from the person; both are `fallback`. A picture is never refused for
    what its siblings are like: they can only give it a hint.

    Args:
        profile: What is known of each picture.
        rules: How to choose.
        faces: The cascade that was asked, for its minimum scores; None if there was none.
        need: What a record must have to be `ok`.

    Returns:
        One plan for each picture, in order, its crop not yet decided.
    """
    plans = [_alone(findings, rules, faces, need) for findings in profile]
    if need != "face":
        return plans
    return [
        _stand_in(number, profile, plans, rules) if plan.reason == "no-face" else plan
        for number, plan in enumerate(plans)
    ]


def _alone(findings: Findings, rules: Choose, faces: Faces | None, need: Need) -> Plan:
    """Decide about one picture without its siblings."""
    source = findings.source
    if source.reason is not None or source.height is None or source.width is None:
        return Plan("reject", source.reason)
    seen = (
        merge(findings.faces, faces.min_scores, rules.same_face, findings.closer) if faces else ()
    )
    known = gates.believable(seen, findings, rules)
    large = [face for face in known if gates.big_enough(face, source.height, source.width, rules)]
    face = subject_face(large, source.height, source.width, rules) if large else None
    persons = gates.persons_of(findings, rules)
    person = subject_person(persons, face.box if face else None, source.height, source.width, rules)
    plan = Plan(
        "ok",
        face=_as_candidate(face) if face else None,
        face_source=face.source if face else None,
        faces=len(known),
        person=person,
        persons=len(persons),
    )
    if need == "face" and face is None:
        return replace(plan, status="reject", reason="face-too-small" if known else "no-face")
    if need == "person" and person is None:
        return _person_by_matte(plan, findings, rules)
    return plan


def _as_candidate(face: Face) -> Candidate:
    return Candidate(face.box, face.best.score, face.best.landmarks)


def _person_by_matte(plan: Plan, findings: Findings, rules: Choose) -> Plan:
    """Take the matte's outline for the person, where no detector was asked for one."""
    box = gates.somebody(findings, rules)
    if box is None or findings.persons is not None:
        return replace(plan, status="reject", reason="no-person")
    return replace(plan, person=Candidate(box.quantised(), 0.0))


def _stand_in(
    number: int, profile: Sequence[Findings], plans: Sequence[Plan], rules: Choose
) -> Plan:
    """Look for a box where no face was seen: the siblings', then the prior's."""
    findings, plan = profile[number], plans[number]
    place = gates.somebody(findings, rules)
    nobody = place is None and (findings.alpha is not None or findings.persons is not None)
    if nobody:
        return plan
    if rules.siblings:
        box = sibling_face(_faces_of_equal_size(number, profile, plans))
        if box is not None:
            return _fallback(plan, box, "sibling")
    if rules.prior and place is not None:
        return _fallback(plan, prior_face(place), "prior")
    return plan


def _fallback(plan: Plan, box: Box, source: str) -> Plan:
    return replace(
        plan,
        status="fallback",
        reason=f"face-by-{source}",
        face=Candidate(box, 0.0),
        face_source=source,
    )


def _faces_of_equal_size(
    number: int, profile: Sequence[Findings], plans: Sequence[Plan]
) -> list[Box]:
    size = profile[number].source.height, profile[number].source.width
    return [
        plan.face.box
        for findings, plan in zip(profile, plans, strict=True)
        if plan.status == "ok"
        and plan.face is not None
        and (findings.source.height, findings.source.width) == size
    ]
