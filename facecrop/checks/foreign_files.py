"""What lies in the raw folder and is no record: lost pictures, files of other programs."""

from collections import defaultdict
from collections.abc import Iterator

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material

_LOST = {
    "outside-a-profile": "a picture beside the profiles: nobody's",
    "unreadable-folder": "a folder that cannot be listed",
    "broken-link": "a link to nothing",
    "not-a-file": "a name of a picture, but no file",
    "link-to-folder": "a link to a folder that is here already",
}
"""Reasons that may cost pictures, each named; of the others, there are many in any folder."""
_FOREIGN = "foreign"
_NAMED = 20


def _find(material: Material) -> Iterator[Issue]:
    others = defaultdict(list)
    for path, reason in material.scan.get("ignored_paths", []):
        if reason in _LOST:
            key = issue_key(CHECK.name, reason, path)
            text = f"{path}: {_LOST[reason]}"
            yield Issue(CHECK.name, CHECK.severity, "", (), text, 1.0, key)
        else:
            others[reason].append(path)
    for reason, paths in sorted(others.items()):
        count = material.scan.get("ignored", {}).get(reason, len(paths))
        rest = f" and {count - _NAMED:,} more" if count > _NAMED else ""
        what = "no pictures by their names" if reason == _FOREIGN else "hidden"
        text = f"{count:,} left out, {what}: {', '.join(paths[:_NAMED])}{rest}"
        key = issue_key(CHECK.name, reason, *paths)
        yield Issue(CHECK.name, CHECK.severity, "", (), text, 0.2, key)


CHECK = Check(
    name="foreign-files",
    title="files and folders in RAW that are no records",
    severity="warning",
    cure="move lost pictures into their profiles; what is hidden or foreign harms nobody",
    needs=(),
    find=_find,
)
