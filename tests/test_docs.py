"""The documents: what they promise is there, and what is there they name."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import typer
from program import CHECKOUT

from facecrop.cli import app
from facecrop.images.models import read_catalogue
from facecrop.images.recipe import shipped_recipes
from facecrop.index import INDEX_SCHEMA, LABELS_SCHEMA, REASONS

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DATASET = (CHECKOUT / "docs" / "dataset.md").read_text(encoding="utf-8")
DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
ELLIPSIS = "…"


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, to the next one of the same level."""
    _, _, rest = text.partition(f"\n## {heading}\n")
    return rest.partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Return the first cell of each row of the tables, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [line.split("|")[1].strip() for line in lines if "---" not in line][1:]


def commands(text: str) -> list[str]:
    """Return the lines of the shell blocks that call the program."""
    blocks = re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    plain = [re.sub(r"^\$ |^(python cli\.py|\S*/facecrop) ", "facecrop ", line) for line in lines]
    plain = [re.sub(r"^facecrop facecrop ", "facecrop ", line) for line in plain]
    return [line for line in plain if line.startswith("facecrop ")]


def mistake(line: str) -> str | None:
    """Return what is wrong with a command as it is typed, or None."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    known = {one for parameter in command.params for one in getattr(parameter, "opts", ())}
    known |= {
        one for parameter in command.params for one in getattr(parameter, "secondary_opts", ())
    }
    unknown = [
        word for word in words if word.startswith("-") and word.partition("=")[0] not in known
    ]
    return f"no option {unknown[0]!r}" if set(unknown) - {"--help"} else None


def test_the_table_of_reasons_is_that_of_the_program() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", section(DATASET, "Reasons"), re.MULTILINE)
    assert dict(rows) == REASONS
    assert [reason for reason, _ in rows] == list(REASONS)


@pytest.mark.parametrize(
    ("table", "schema"), [("index.parquet", INDEX_SCHEMA), ("labels.parquet", LABELS_SCHEMA)]
)
def test_every_column_of_a_table_is_documented_and_no_other(table: str, schema: pa.Schema) -> None:
    documented: set[str] = set()
    for cell in first_cells(section(DATASET, table)):
        for part in cell.split(","):
            ends = re.findall(r"`([a-z0-9_]+)`", part)
            if ELLIPSIS in part:
                first, last = (schema.names.index(end) for end in ends)
                ends = schema.names[first : last + 1]
            documented.update(ends)
    assert documented == set(schema.names)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_can_be_typed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wrong = {line: said for line in commands(text) if (said := mistake(line))}
    assert wrong == {}


def test_the_readme_shows_commands_at_all_and_a_wrong_one_would_be_noticed() -> None:
    shown = {line.split()[1] for line in commands(README)}
    assert {"demo", "preprocess", "relabel", "split"} <= shown
    assert mistake("facecrop preproces raw out") == "no command 'preproces'"
    assert mistake("facecrop preprocess raw out --worker=3") == "no option '--worker=3'"
    assert mistake("facecrop cache size out  # a comment") is None


def test_the_readme_names_every_command() -> None:
    group: Any = typer.main.get_command(app)
    assert [name for name in group.commands if f"facecrop {name}" not in README] == []


def test_the_readme_names_every_recipe() -> None:
    assert [name for name in shipped_recipes() if f"`{name}`" not in README] == []


def test_the_readme_names_every_extra_a_user_needs() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    extras = set(settings["options.extras_require"]) - {"test", "check", "dev"}
    assert [extra for extra in sorted(extras) if f"[{extra}]" not in README] == []


def test_the_table_of_models_is_that_of_the_program() -> None:
    text = (CHECKOUT / "docs" / "models.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([\w.-]+)` \| \w+ \| (\S+) \|", text, re.MULTILINE))
    assert documented == {name: one.licence for name, one in read_catalogue().models.items()}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
