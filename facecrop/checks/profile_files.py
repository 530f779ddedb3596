"""People with fewer or more pictures than the seven that are usual."""

from collections.abc import Iterator

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material


def _find(material: Material) -> Iterator[Issue]:
    whole = {
        "missing": "has no {}",
        "extra": "has pictures beyond the seven: {}",
    }
    for kind, sentence in whole.items():
        for profile, names in material.scan.get(kind, {}).items():
            yield Issue(
                CHECK.name,
                CHECK.severity,
                profile,
                (),
                sentence.format(", ".join(names)),
                min(1.0, len(names) / 7),  # all seven missing is the worst that can be
                issue_key(CHECK.name, kind, profile, *names),
            )
    for profile in material.scan.get("empty_profiles", []):
        yield Issue(
            CHECK.name,
            CHECK.severity,
            profile,
            (),
            "the folder holds no picture",
            1.0,
            issue_key(CHECK.name, "empty", profile),
        )


CHECK = Check(
    name="profile-files",
    title="people with missing or extra pictures",
    severity="warning",
    cure="look whether files were lost on the way; pictures beyond the seven have no mask label",
    needs=(),
    find=_find,
)
