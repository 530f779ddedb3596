"""The command line: what a user types, and what comes back."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from fakes import write_profiles
from program import CHECKOUT, facecrop, typed
from runs import content, trust

import facecrop as library
from facecrop.cli import app

ESCAPE = "\x1b"
# Pydantic is not among them: Typer itself imports it.
HEAVY = ("pandas", "pyarrow", "numpy", "cv2", "mediapipe", "jinja2", "rich")


def commands(command: Any = None, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return every command as it is typed: ("preprocess",), ("cache", "size") ..."""
    inner = getattr(command or typer.main.get_command(app), "commands", None)
    if not inner:
        return [words]
    return sorted(one for name, sub in inner.items() for one in commands(sub, (*words, name)))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_profiles(tmp_path_factory.mktemp("cli") / "raw", profiles=2)


def crop(raw: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return typed(
        "preprocess", raw, out, "--recipe", "center-crop", "--set", "crop.size=[48,48]",
        "--engine", "serial", "--no-contact", *options,
    )  # fmt: skip


def assert_one_line_and_no_traceback(ended: subprocess.CompletedProcess[str]) -> None:
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ESCAPE not in ended.stderr


def test_the_version_is_printed() -> None:
    ended = facecrop("--version")
    assert ended.returncode == 0
    assert re.fullmatch(r"facecrop \d+\.\d+\.\d+\n", ended.stdout)


def test_cli_py_is_the_same_program(tmp_path: Path) -> None:
    other = (sys.executable, str(CHECKOUT / "cli.py"))
    same = facecrop("recipes", program=other, cwd=tmp_path)
    assert same.returncode == 0
    assert same.stdout == facecrop("recipes", cwd=tmp_path).stdout
    assert facecrop("nonsense", program=other).returncode == 2


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_says_what_it_does_and_every_option_what_it_means(
    command: tuple[str, ...],
) -> None:
    found: Any = typer.main.get_command(app)
    for name in command:
        found = found.commands[name]
    assert found.help
    for parameter in found.params:
        assert parameter.help, f"{parameter.name} has no help"
    ended = typed(*command, "--help")
    assert ended.returncode == 0
    assert found.help.split(maxsplit=1)[0] in ended.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["relabel", "--help"], ["preprocess", "--help"]], ids=" ".join
)
def test_help_starts_without_the_heavy_packages(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom facecrop.cli import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit as end: code = end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    ended = facecrop("-c", code, program=(sys.executable,))
    assert ended.stdout.splitlines()[-1] == "LOADED [] 0", ended.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, facecrop\n"
        f"print([name for name in {HEAVY!r} + ('typer',) if name in sys.modules])"
    )
    assert facecrop("-c", code, program=(sys.executable,)).stdout == "[]\n"


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_a_function_of_the_library(command: tuple[str, ...]) -> None:
    # Recipes and the demo go by other names: `demo` is the package that draws.
    name = {"demo": "draw_demo", "recipes": "preprocess"}.get(command[0], "_".join(command))
    assert name in library.__all__
    assert callable(getattr(library, name))


def test_every_name_of_the_library_can_be_had_and_others_cannot() -> None:
    assert [name for name in library.__all__ if not callable(getattr(library, name))] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = library.nonsense


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["preprocess"],
        ["preprocess", "RAW", "OUT", "--nonsense"],
        ["preprocess", "RAW", "OUT", "--workers", "0"],
        ["demo", "RAW", "--wrong-age", "2"],
        ["relabel", "OUT"],
        ["relabel", "OUT", "--log", "--reset"],
        ["relabel", "OUT", "--log", "--latest"],
        ["relabel", "OUT", "--set-policy", "official", "--latest"],
        ["preprocess", "RAW", "OUT", "--address", "auto"],
        ["preprocess", "RAW", "OUT", "--shard-size", "9"],
        ["preprocess", "RAW", "OUT", "--store-as", "files", "--shard-size", "9"],
        ["train", "OUT", "--address", "auto"],
        ["tune", "OUT", "--address", "auto"],
        ["tune", "OUT", "--workers", "2"],
        ["predict", "RUN", "RAW", "--tta", "flip", "--tta", "none"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    ended = typed(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Usage: " in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "command", sorted(set(commands()) - {("models", "list"), ("models", "licences")}), ids=" ".join
)
def test_a_wrong_path_ends_with_1_and_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    arguments: dict[tuple[str, ...], list[object]] = {
        ("demo",): [blocked / "raw", "--profiles", 1],
        ("preprocess",): [nowhere, tmp_path / "out", "--recipe", "center-crop"],
        ("relabel",): [nowhere, "--log"],
        ("split",): [nowhere],
        ("stats",): [nowhere],
        ("merge",): [nowhere],
        ("audit",): [nowhere],
        ("train",): [nowhere, "--device", "cpu"],
        ("runs",): [nowhere],
        ("predict",): [nowhere, nowhere, "--out", tmp_path / "said.csv"],
        ("vote",): [nowhere / "said.csv"],
        ("explain",): [nowhere],
        ("tune",): [nowhere],
        ("export",): [nowhere, tmp_path / "model.onnx"],
        ("recipes",): ["nowhere"],
        ("models", "pull"): ["nowhere"],
        ("cache", "size"): [nowhere],
        ("cache", "prune"): [nowhere],
    }
    ended = typed(*command, *arguments[command])
    assert ended.returncode == 1, ended.stderr
    assert_one_line_and_no_traceback(ended)
    assert "nowhere" in ended.stderr or "file" in ended.stderr


def test_a_mistake_ends_the_process_itself_with_1_and_one_line(tmp_path: Path) -> None:
    ended = facecrop("preprocess", tmp_path / "nowhere", tmp_path / "out", "--recipe", "raw")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert_one_line_and_no_traceback(ended)


def test_preprocess_prints_counts_and_the_next_step_without_colours(
    raw: Path, tmp_path: Path
) -> None:
    ended = crop(raw, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert ESCAPE not in ended.stdout
    assert "6 images of 2 profiles, layout profiles, recipe center-crop" in ended.stdout
    assert "6 images: 6 ok, 0 fallback, 0 rejected; 6 worked on" in ended.stdout
    assert "facecrop split" in ended.stdout
    trust(tmp_path / "out")
    again = crop(raw, tmp_path / "out").stdout
    assert "6 ok, 0 fallback, 0 rejected; 0 worked on" in again


def test_more_rejects_than_allowed_end_with_3_and_the_dataset_is_whole(
    raw: Path, tmp_path: Path
) -> None:
    person = tmp_path / "raw" / "000001_male_Asian_30"
    person.mkdir(parents=True)
    (person / "normal.png").write_bytes((next(raw.rglob("normal.png"))).read_bytes())
    (person / "mask1.jpg").write_bytes(b"no picture at all")
    ended = crop(tmp_path / "raw", tmp_path / "out", "--max-rejects", 0)
    assert ended.returncode == 3
    assert "1 ok, 0 fallback, 1 rejected" in ended.stdout
    assert_one_line_and_no_traceback(ended)
    assert "--max-rejects 0" in ended.stderr
    table = pq.read_table(tmp_path / "out" / "index.parquet")
    assert table["status"].to_pylist() == ["reject", "ok"]
    assert crop(tmp_path / "raw", tmp_path / "out", "--max-rejects", 1).returncode == 0


def test_a_dry_run_writes_nothing(raw: Path, tmp_path: Path) -> None:
    ended = crop(raw, tmp_path / "out", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert "would work on 6 images; 0 stay as they are" in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_events_are_json_lines_with_the_documented_fields(raw: Path, tmp_path: Path) -> None:
    assert crop(raw, tmp_path / "out", "--log-json", tmp_path / "log.jsonl").returncode == 0
    *progress, end = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    fields = {"event", "total", "done", "cached", "statuses"}
    assert progress
    assert all(event.keys() == fields for event in progress)
    assert {event["event"] for event in progress} == {"progress"}
    assert [event["done"] for event in progress] == sorted(event["done"] for event in progress)
    assert end.keys() == fields | {"images", "seconds"}
    assert (end["event"], end["images"], end["done"], end["total"]) == ("end", 6, 6, 6)
    assert end["statuses"] == {"ok": 6}


def test_a_log_that_cannot_be_written_is_said_in_one_line(raw: Path, tmp_path: Path) -> None:
    ended = crop(raw, tmp_path / "out", "--log-json", tmp_path / "nowhere" / "log.jsonl")
    assert ended.returncode == 1
    assert_one_line_and_no_traceback(ended)


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("crop.marginn=0.3", "no setting 'crop.marginn'. Did you mean 'crop.margin'?"),
        ("crp.margin=0.3", "no setting 'crp'. Did you mean 'crop'?"),
        (
            "encode.qualty=3",
            "no setting 'render.encode.qualty'. Did you mean 'render.encode.quality'?",
        ),
        ("crop.margin", "--set needs KEY=VALUE"),
    ],
)
def test_a_setting_that_does_not_exist_names_the_nearest(
    setting: str, hint: str, raw: Path, tmp_path: Path
) -> None:
    ended = crop(raw, tmp_path / "out", "--set", setting)
    assert ended.returncode == 1
    assert_one_line_and_no_traceback(ended)
    assert hint in ended.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_recipes_and_layouts_name_the_known_ones(raw: Path, tmp_path: Path) -> None:
    ended = typed("preprocess", raw, tmp_path / "out", "--recipe", "centre-crop")
    assert ended.returncode == 1
    assert_one_line_and_no_traceback(ended)
    assert "Did you mean 'center-crop'?" in ended.stderr
    ended = crop(raw, tmp_path / "out", "--layout", "profile")
    assert ended.returncode == 1
    assert_one_line_and_no_traceback(ended)
    assert "profiles" in ended.stderr


def test_a_shipped_recipe_is_printed_as_it_is_and_works_as_a_file(
    raw: Path, tmp_path: Path
) -> None:
    printed = typed("recipes", "center-crop").stdout
    shipped = CHECKOUT / "manifests" / "recipes" / "center-crop.toml"
    assert printed == shipped.read_text(encoding="utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text(printed, encoding="utf-8")
    assert crop(raw, tmp_path / "one").returncode == 0
    assert crop(raw, tmp_path / "two", "--recipe", mine).returncode == 0
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert one.pop("dataset.toml") != two.pop("dataset.toml")
    assert one == two


def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "facecrop", "models", "list"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_from_drawn_people_to_numbers_through_the_command_line(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    done = typed("demo", raw, "--profiles", 16, "--seed", 4)
    assert "112 images of 16 profiles" in done.stdout, done.stderr
    done = typed("preprocess", raw, out, "--recipe", "center-crop", "--engine", "serial")
    assert "112 images: 112 ok" in done.stdout, done.stderr
    assert (out / "contact" / "index.html").exists()
    done = typed("relabel", out, "--set-policy", "threshold-58")
    assert "-> threshold-58" in done.stdout, done.stderr
    done = typed("split", out)
    assert "16 people" in done.stdout, done.stderr
    done = typed("split", out, "--check")
    assert "holds" in done.stdout, done.stderr
    done = typed("stats", out, "--json", "--html", tmp_path / "stats.html")
    numbers = json.loads(done.stdout)
    assert numbers["datasets"][0]["records"] == 112
    assert numbers["datasets"][0]["people"] == 16
    assert "<html" in (tmp_path / "stats.html").read_text(encoding="utf-8")
    done = typed("relabel", out, "--undo")
    assert "threshold-58 -> official" in done.stdout, done.stderr
    done = typed("cache", "size", out)
    assert done.returncode == 0, done.stderr
    assert "source" in done.stdout
