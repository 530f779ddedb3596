"""`facecrop demo` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from facecrop.cli.console import bar, console, plural, table


def demo(
    raw: Annotated[Path, typer.Argument(help="Folder to draw into; new or empty.")],
    profiles: Annotated[int, typer.Option(min=1, help="How many people.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds draw other people.")] = 0,
    wrong_gender: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of people with a wrong gender.")
    ] = 0.0,
    wrong_age: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction with an age of another group.")
    ] = 0.0,
    swapped: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction with incorrect_mask and normal swapped.")
    ] = 0.0,
    quirks: Annotated[
        bool,
        typer.Option(
            "--quirks", help="Plant what real folders hold: mixed formats, damage, duplicates …"
        ),
    ] = False,
    photos: Annotated[
        bool, typer.Option("--photos", help="Add the photographs that installed packages carry.")
    ] = False,
    mattes: Annotated[
        bool, typer.Option("--mattes", help="Write the true mattes beside the folder.")
    ] = False,
) -> None:
    """Draw raw profiles of people who do not exist, with known labels and planted faults."""
    from facecrop.commands.demo import demo as library  # noqa: PLC0415 - keeps --help fast

    where = console()
    with bar(where, "demo", "profiles") as progress:
        result = library(
            raw,
            profiles=profiles,
            seed=seed,
            wrong_gender=wrong_gender,
            wrong_age=wrong_age,
            swapped=swapped,
            quirks=quirks,
            photos=photos,
            mattes=mattes,
            progress=progress,
        )
    where.print(
        f"{plural(result.images, 'image')} of {plural(result.profiles, 'profile')} "
        f"drawn into {raw}",
        soft_wrap=True,
    )
    where.print(
        f"ideal observer of the cues: 18-class macro-F1 {result.ideal:.3f} from one picture, "
        f"{result.ideal_person:.3f} from a person's seven; "
        f"{result.ideal_here:.3f} on the people drawn here",
        soft_wrap=True,
    )
    if result.faults:
        where.print(table("", ["planted fault", "how often"], list(result.faults.items())))
    for note in result.notes:
        where.print(note, soft_wrap=True)
    where.print(f"the truth:   {raw.with_name(result.truth.name)}", soft_wrap=True)
    where.print(f"next:        facecrop preprocess {raw} OUT", soft_wrap=True)
