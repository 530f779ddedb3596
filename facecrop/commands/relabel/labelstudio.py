"""From Label Studio's export to a manifest."""

from dataclasses import dataclass
from pathlib import Path

from facecrop.commands.exports.answers import Answer, WrongTaskError, answers_of, read_tasks
from facecrop.commands.exports.conclude import conclude
from facecrop.errors import ConfigError, ManifestError
from facecrop.index import INDEX_FILE, read_table
from facecrop.labels.manifests import write_manifest
from facecrop.labels.members import people_now

_MOST_FAULTS = 1000


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back from Label Studio.

    Args:
        corrections: Rows of the manifest.
        tasks: Tasks in the file.
        answers: Answers that were neither skipped nor cancelled.
    """

    corrections: int
    tasks: int
    answers: int


def relabel_from_labelstudio(
    out: Path, file: Path, manifest: Path, *, latest: bool = False
) -> Answered:
    """Write what people changed in Label Studio as a manifest; nothing is relabelled yet.

    What `was` is what the task gave when it was made, so `relabel` notices labels that changed
    meanwhile. Gender and age belong to the person: whoever changes them in one task of a profile
    has said it for all of them.

    Args:
        out: The dataset that the tasks were exported from.
        file: What Label Studio exported, JSON or JSON-MIN.
        manifest: The CSV to write.
        latest: Where answers differ, the newest counts.

    Raises:
        ConfigError: The manifest would replace the file.
        ManifestError: The file cannot be read, names records that are not there, or holds answers
            that differ; the message lists all of it, and nothing is written.
        TableError: The dataset has no index, or a table is damaged.
        StoreError: The manifest cannot be written.
    """
    if file.exists() and manifest.exists() and file.samefile(manifest):
        raise ConfigError(
            f"{manifest} is what Label Studio exported; the manifest would replace the answers: "
            "give --export another name"
        )
    tasks = read_tasks(file)
    answers: list[Answer] = []
    faults: list[str] = []
    for number, task in enumerate(tasks, 1):
        try:
            answers += answers_of(number, task)
        except WrongTaskError as error:
            faults.append(str(error))
    profiles = set(read_table(out / INDEX_FILE, ["profile"])["profile"].to_pylist())
    people = people_now(out, profiles)
    rows, more = conclude(answers, people, latest=latest)
    faults += more
    if faults:
        rest = len(faults) - _MOST_FAULTS
        shown = [*faults[:_MOST_FAULTS], *([f"and {rest:,} more"] if rest > 0 else [])]
        raise ManifestError("\n  ".join([f"{file}: nothing was written:", *shown]))
    return Answered(write_manifest(manifest, rows), len(tasks), len(answers))
