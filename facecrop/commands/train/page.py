"""A run as one page that opens anywhere: no network, no other file."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from facecrop.commands.pages import environment, style
from facecrop.index import write_atomic
from facecrop.training.runs import Run


def write_run_page(run: Run) -> None:
    """Write `index.html` of a finished run; the same run gives the same bytes.

    Args:
        run: A single training, or one that holds several.

    Raises:
        TableError: It is not finished.
        StoreError: The folder cannot be written.
    """
    page = render_run_page(run)
    write_atomic(run.page_file, lambda temporary: temporary.write_text(page, encoding="utf-8"))


def render_run_page(run: Run) -> str:
    """Return the page as HTML."""
    facts, result = run.facts(), run.result()
    template = environment(trim=True).get_template("run.html")
    return template.render(
        style=style("stats.css"),
        name=run.name,
        facts=facts,
        result=result,
        scores=_scores(result),
        single=not facts["members"],
        members=result.get("members", {}),
        curves=_inline(run.curves_file),
        confusion=_inline(run.confusion_file),
        settings=run.settings_file.read_text(encoding="utf-8"),
    )


def _scores(result: dict[str, Any]) -> list[tuple[str, float, tuple[float, float] | None]]:
    """Return name, value and interval of each score; calibration and the like are of one model."""
    more = {
        key: value
        for key, value in result.get("best", {}).items()
        if key.startswith(("age_", "official_age_", "person_", "calibration"))
        and not key.endswith("_records")
    }
    return [
        (key.replace("_", " "), value, result["intervals"].get(key))
        for key, value in (result["scores"] | more).items()
        if value is not None
    ]


def _inline(file: Path) -> str | None:
    """Return a picture as an address that holds all of it; None where there is none."""
    if not file.is_file():
        return None
    return "data:image/png;base64," + b64encode(file.read_bytes()).decode()
