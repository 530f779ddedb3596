"""The review page: what an audit doubts, to be decided by keyboard and taken home as a manifest."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from facecrop.checks.check import Check, Issue
from facecrop.checks.material import Material
from facecrop.commands.audit.data import MOST_ISSUES, collect
from facecrop.commands.audit.files import FOLDER, make_folder
from facecrop.commands.audit.thumbs import BLOCK, Strips
from facecrop.commands.pages import TEMPLATES, environment, style
from facecrop.index import write_atomic

PAGE = Path(FOLDER) / "index.html"
"""Of the page below the dataset."""
_SCRIPTS = (
    "audit_decisions.js",
    "audit_list.js",
    "audit_detail.js",
    "audit_acts.js",
    "audit.js",
)
"""Parts of the page's one script, in their order."""


def write_audit_page(
    out: Path,
    issues: Sequence[Issue],
    material: Material,
    checks: Sequence[Check],
    known: frozenset[str] = frozenset(),
    *,
    most_issues: int = MOST_ISSUES,
) -> Path:
    """Write `audit/index.html`, on which the findings of an audit are looked at and decided.

    It is one file that needs no server and no network. Decisions stay in the reader's browser
    until they are saved as a manifest for `facecrop relabel`. The same input gives the same bytes.

    A person's pictures stand side by side, with what is given against what the run's models say,
    where there is a run, and beside people of the other class whose probability of it is nearest
    to the suspect's: neighbours by prediction, not by looks, see `examples_of`.

    Args:
        out: The dataset.
        issues: What the audit found, in any order.
        material: What it looked at.
        checks: Those that ran, also the ones that found nothing.
        known: Keys of issues that were accepted earlier; the page does not ask for them again.
        most_issues: Findings on the page at most; the page says what it leaves out.

    Returns:
        The path of the page.

    Raises:
        TableError: A table of the dataset is missing or cannot be read.
        StoreError: The page cannot be written.
    """
    review = collect(material, issues, checks, known, most_issues)
    strips = Strips(out, material.raw, material.index, review.strips, material.each)
    data = review.data | {"tile": [strips.width, strips.height], "block": BLOCK}
    page = out / PAGE
    make_folder(out)
    write_atomic(page, lambda temporary: _write(temporary, data, strips))
    return page


def _write(path: Path, data: dict[str, Any], strips: Strips) -> None:
    parts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    script = "\n" + '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    # Only this very script may run, whatever a path or profile is called.
    digest = b64encode(sha256(script.encode()).digest()).decode()
    template = environment().get_template("audit.html")
    stream = template.stream(
        data=data,
        strips=strips,
        script=script,
        script_digest=digest,
        style=style("audit.css"),
    )
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(stream)
