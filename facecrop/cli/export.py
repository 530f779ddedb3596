"""`facecrop export` on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecrop.cli.console import bar, console, plural

if TYPE_CHECKING:
    from facecrop.commands.exports.command import ExportResult


def export(
    source: Annotated[
        Path,
        typer.Argument(help="OUT/runs/NAME, or a dataset.", metavar="RUN|OUT", show_default=False),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="The .onnx file; or a folder outside the dataset.",
            metavar="FILE|FOLDER",
            show_default=False,
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            help="Of a dataset: coco, fiftyone, imagefolder or labelstudio; of a run: onnx.",
            show_default="onnx for a run",
        ),
    ] = None,
    images: Annotated[
        str, typer.Option(help="crops, or source: the raw pictures, upright.")
    ] = "crops",
    split: Annotated[
        str | None,
        typer.Option(help="The split that parts come from.", show_default="default, if it exists"),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Also what is set aside or left out by the age policy.")
    ] = False,
    suspects: Annotated[
        bool, typer.Option("--suspects", help="Only what the last audit found something about.")
    ] = False,
    image_root: Annotated[
        str | None,
        typer.Option(
            help="labelstudio: what addresses of pictures begin with.",
            metavar="URL",
            show_default="its local files",
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Symbolic links to pictures instead of copies.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export.")
    ] = False,
) -> None:
    """Write a trained model as ONNX, or a dataset in another tool's format."""
    from facecrop.commands.exports import command as library  # noqa: PLC0415 - keeps --help fast

    where = console()
    with bar(where, "export", "images") as show:
        result = library.export(
            source,
            target,
            to=to,
            images=images,
            split=split,
            everything=all_,
            suspects=suspects,
            image_root=image_root,
            link=link,
            overwrite=overwrite,
            report=show,
        )
    _print(result)


def _print(result: "ExportResult") -> None:
    where = console()
    if result.records:
        parts = f", parts of split {result.split!r}" if result.split else ""
        where.print(f"{plural(result.records, 'image')} for {result.kind}{parts}")
    if result.left_out:
        each = ", ".join(f"{count:,} {why}" for why, count in result.left_out.items())
        where.print(f"left out: {each}", soft_wrap=True)
    where.print(f"written: {result.target}", soft_wrap=True)
