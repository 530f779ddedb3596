"""How commands speak: one console, tables in one style, numbers as people read them."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


_PIPED_WIDTH = 240


def console() -> "Console":
    """Return a console on standard output: no colour and no bars when that is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - only when something is printed

    # What users wrote is never markup; and what is read by a program is not cut to a screen.
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, markup=False, width=_PIPED_WIDTH if piped else None)


def refuse_alone(*rules: tuple[str, bool, bool, str]) -> None:
    """End with wrong usage where an option was given and nothing would come of it.

    Args:
        rules: Each an option, whether it was given, whether it has what it goes with, and what
            that is.
    """
    import typer  # noqa: PLC0415 - only when something is wrong, nearly

    for option, given, served, companion in rules:
        if given and not served:
            raise typer.BadParameter(f"it goes with {companion}", param_hint=option)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """Return a plain table; numbers to the right, and nothing of what users wrote left out."""
    from rich.table import Table  # noqa: PLC0415 - only when something is printed

    cells = [[_cell(value) for value in row] for row in rows]
    numeric = (
        [all(_is_number(row[i]) for row in cells) for i in range(len(columns))] if cells else []
    )
    result = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        right = bool(numeric) and numeric[number]
        result.add_column(
            column, justify="right" if right else "left", header_style="dim", overflow="fold"
        )
    for row in cells:
        result.add_row(*row)
    return result


class Show(Protocol):
    """What moves a progress bar."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show how far it is, with a word about it."""


@contextmanager
def bar(where: "Console", title: str, things: str) -> Iterator[Show]:
    """Show a progress bar with rate and time left; yields what moves it."""
    from rich.progress import (  # noqa: PLC0415 - keeps --help fast
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,} {task.fields[things]}  {task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
        console=where,
        transient=True,
        disable=not where.is_terminal,
    )
    task = progress.add_task(title, total=1, things=things, rate="", note="")

    def show(done: int, total: int, note: str = "") -> None:
        if progress.disable:
            return  # the rate alone is a sum over the last thousand calls
        speed = progress.tasks[task].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        progress.update(task, completed=done, total=total, rate=rate, note=note)

    with progress:
        yield show


@contextmanager
def stages(where: "Console", things: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar for one stage after the other; yields what takes (title, done, total)."""
    with ExitStack() as stack:
        shown: dict[str, Show] = {}

        def show(title: str, done: int, total: int) -> None:
            if title not in shown:
                stack.close()  # the bar of the stage before
                shown[title] = stack.enter_context(bar(where, title, things))
            shown[title](done, total)

        yield show


def plural(count: int, thing: str) -> str:
    """Return `1 image`, `18,900 images`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time as people say it: `0.8 s`, `42 s`, `3 min 5 s`, `2 h 7 min`."""
    if seconds < 10:  # noqa: PLR2004 - below, tenths matter
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: float) -> str:
    """Return bytes as people say them: `512 B`, `3.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - SI units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(cell: str) -> bool:
    return cell.lstrip("+-")[:1].isdigit() or cell == "-"
