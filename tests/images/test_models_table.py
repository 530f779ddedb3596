"""What every entry of the shipped table of models must be, whoever adds it."""

import ast
import hashlib
import os
import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from facecrop.config import validate
from facecrop.errors import ConfigError, WeightsError
from facecrop.images.models import Catalogue, Model, read_catalogue
from facecrop.images.models.registry import UrlOrigin, WheelOrigin

CATALOGUE = read_catalogue()
DOCS = Path(__file__).parents[2] / "docs" / "models.md"
SPDX = re.compile(r"NOASSERTION|LicenseRef-[A-Za-z0-9.-]+|Apache-2\.0|MIT|AGPL-3\.0")


@pytest.fixture(params=list(CATALOGUE.models))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(name: str) -> Model:
    return CATALOGUE.models[name]


def test_a_model_says_what_it_finds_and_where_it_comes_from(model: Model) -> None:
    assert model.task in {"face", "person", "matte"}
    assert model.origins
    assert all(isinstance(o, WheelOrigin) or o.url.startswith("https://") for o in model.origins)


def test_a_licence_is_an_spdx_identifier(model: Model) -> None:
    assert SPDX.fullmatch(model.licence)


def test_an_unclear_or_forbidding_licence_has_a_note(model: Model) -> None:
    assert model.commercial == "yes" or model.note
    assert model.licence != "NOASSERTION" or model.commercial == "unclear"


def test_a_size_is_given_only_where_the_bytes_were_seen(model: Model) -> None:
    from_a_wheel = any(isinstance(origin, WheelOrigin) for origin in model.origins)
    assert (model.size is not None) == from_a_wheel
    assert not from_a_wheel or model.sha256


def test_no_two_models_share_a_file() -> None:
    files = [model.file for model in CATALOGUE.models.values()]
    assert len(set(files)) == len(files)


def test_the_default_models_come_from_the_package_index() -> None:
    for name in CATALOGUE.sets["embedded"]:
        assert isinstance(CATALOGUE.models[name].origins[0], WheelOrigin)


def test_docs_show_every_model_as_the_table_has_it(name: str, model: Model) -> None:
    check = "sha256" if model.sha256 else "md5" if model.md5 else "first use"
    row = f"| `{name}` | {model.task} | {model.licence} | {model.commercial} | {check} |"
    assert row in DOCS.read_text(encoding="utf-8")


def test_docs_show_every_note_of_a_licence_that_is_not_plain(model: Model) -> None:
    if model.commercial != "yes":
        assert model.note in DOCS.read_text(encoding="utf-8")


def rembg_sources() -> dict[str, tuple[str, str] | None]:
    """Return what the installed rembg says: session name -> (URL, digest), None without a file."""
    spec = find_spec("rembg")  # does not import it, which would take half a minute
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("rembg is not installed")
    found: dict[str, tuple[str, str] | None] = {}
    for file in (Path(spec.submodule_search_locations[0]) / "sessions").glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        urls = [t for t in texts if isinstance(t, str) and re.match(r"https://.*\.onnx$", t)]
        digests = [t for t in texts if isinstance(t, str) and re.match(r"(md5|sha256):\w+$", t)]
        for session in session_names(tree):
            found[session] = (urls[0], digests[0]) if len(urls) == len(digests) == 1 else None
    return found


def session_names(tree: ast.Module) -> list[str]:
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "name"]
    returned = [n.value for f in functions for n in ast.walk(f) if isinstance(n, ast.Return)]
    return [n.value for n in returned if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_rembg_sources_are_understood() -> None:
    sources = rembg_sources()
    assert sources["u2net"] is not None
    assert sources["sam"] is None
    assert len(sources) > 15


def test_every_model_of_rembg_is_in_the_table_or_refused_with_a_reason() -> None:
    for session, source in rembg_sources().items():
        if source is None:
            assert session in CATALOGUE.refused
            continue
        model = CATALOGUE.models[session]
        url, digest = source
        assert model.file == f"{session}.onnx"  # each session names its file so
        assert [origin.url for origin in model.origins if isinstance(origin, UrlOrigin)] == [url]
        assert digest == (f"sha256:{model.sha256}" if model.sha256 else f"md5:{model.md5}")


@pytest.mark.parametrize("name", ["withoutbg", "atlascloud"])
def test_a_remote_model_is_refused_because_facecrop_works_offline(name: str) -> None:
    with pytest.raises(WeightsError, match=r"remote service, and facecrop works offline"):
        CATALOGUE.model(name)


def test_an_unknown_model_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"no model named 'u2net_human'.*'u2net_human_seg'"):
        CATALOGUE.model("u2net_human")


BASE = {"task": "face", "file": "a.onnx", "licence": "MIT", "commercial": "yes"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "needs a sha256, an md5"),
        ({"md5": "0" * 32, "check": "first-use"}, "needs a sha256, an md5"),
        ({"md5": "nonsense"}, r"models\.a\.md5"),
        ({"md5": "0" * 32, "file": "../a.onnx"}, r"models\.a\.file"),
        ({"md5": "0" * 32, "origins": [{"url": "file:///a"}]}, r"origins"),
        ({"md5": "0" * 32, "origins": [{"wheel": "w", "member": "a"}]}, "does not have: w"),
    ],
)
def test_a_wrong_entry_is_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(Catalogue, {"models": {"a": {**BASE, **entry}}}, "models.toml")


def test_digests_and_sizes_are_those_of_the_wheels() -> None:
    folder = os.environ.get("FACECROP_WHEELS")
    if not folder:
        pytest.skip("FACECROP_WHEELS does not name a folder with the two wheels")
    for key, wheel in CATALOGUE.wheels.items():
        file = Path(folder) / wheel.file
        assert hashlib.sha256(file.read_bytes()).hexdigest() == wheel.sha256
        with zipfile.ZipFile(file) as archive:
            for member, model in CATALOGUE.members(key).items():
                content = archive.read(member)
                assert (hashlib.sha256(content).hexdigest(), len(content)) == (
                    model.sha256,
                    model.size,
                )
