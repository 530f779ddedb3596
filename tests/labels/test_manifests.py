import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import COLUMNS, a_dataset, a_manifest, labels, people

from facecrop.commands.relabel.command import relabel
from facecrop.errors import ManifestError
from facecrop.labels.cells import Fault, escape_cell, unescape_cell
from facecrop.labels.manifests import Correction, read_manifest, write_manifest

PERSON = "001720_female_Asian_18"
ROWS = [
    dict.fromkeys(COLUMNS, "")
    | {"profile": PERSON, "field": "gender", "was": "female", "now": "male"}
    | {"reason": "seen, twice; \u201csurely\u201d"},
    dict.fromkeys(COLUMNS, "")
    | {"profile": PERSON, "name": "mask1", "field": "mask", "was": "worn", "now": "none"},
]
EXPECTED = [
    Correction(PERSON, None, "gender", "female", "male", ROWS[0]["reason"]),
    Correction(PERSON, "mask1", "mask", "worn", "none"),
]


def as_csv(delimiter: str, end: str = "\n") -> str:
    def quoted(cell: str) -> str:
        return f'"{cell}"' if any(char in cell for char in ',;\t"') else cell

    lines = [COLUMNS, *([row[name] for name in COLUMNS] for row in ROWS)]
    return "".join(delimiter.join(map(quoted, line)) + end for line in lines)


WRITERS: dict[str, Callable[[Path], object]] = {
    "comma.csv": lambda file: file.write_bytes(as_csv(",").encode()),
    "semicolon.csv": lambda file: file.write_bytes(as_csv(";").encode()),
    "tab.tsv": lambda file: file.write_bytes(as_csv("\t").encode()),
    "windows.csv": lambda file: file.write_bytes(as_csv(";", "\r\n").encode()),
    "old-mac.csv": lambda file: file.write_bytes(as_csv(",", "\r").encode()),
    "byte-order-mark.csv": lambda file: file.write_bytes(as_csv(",").encode("utf-8-sig")),
    "utf-16.csv": lambda file: file.write_bytes(as_csv("\t", "\r\n").encode("utf-16")),
    "utf-16-be-no-mark.csv": lambda file: file.write_bytes(as_csv(",").encode("utf-16-be")),
    "hint.csv": lambda file: file.write_bytes(("sep=;\r\n" + as_csv(";", "\r\n")).encode()),
    "blank-lines.csv": lambda file: file.write_bytes((as_csv(",") + ",,,,,,,\n\n").encode()),
    "lines.jsonl": lambda file: file.write_text(
        "\n".join(json.dumps(row) for row in ROWS), encoding="utf-8"
    ),
    "table.parquet": lambda file: pq.write_table(pa.Table.from_pylist(ROWS), file),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_manifest_reads_the_same_in_every_format(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    WRITERS[name](file)
    assert [row.content for row in read_manifest(file)] == EXPECTED


def test_lines_are_those_of_the_file_also_after_a_cell_of_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    rows = ['p,gender,male,female,"one\ntwo\nthree"', "", "p,age,1,2,"]
    file.write_text("\n".join(["profile,field,was,now,reason", *rows, ""]))
    assert [row.line for row in read_manifest(file)] == [2, 6]
    assert [row.place for row in read_manifest(file)] == [f"{file}:2", f"{file}:6"]


def test_numbers_of_json_and_parquet_are_years(tmp_path: Path) -> None:
    row = {"profile": "p", "field": "age", "was": 18, "now": 19}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    gaps = pa.table({"profile": ["p"], "field": ["age"], "was": [18.0], "now": [19.0]})
    pq.write_table(gaps, tmp_path / "m.parquet")
    for name in ("m.jsonl", "m.parquet"):
        (read,) = read_manifest(tmp_path / name)
        assert read.content == Correction("p", None, "age", "18", "19")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"profile": "p"', "no JSON: Expecting ',' delimiter at column 16"),
        ("[1]", "a row must be an object {...}, got '[1]'"),
        ('{"profile": "p", "filed": "x"}', "no column 'filed'; did you mean 'field'?"),
        ('{"profile": "p", "field": "age", "now": 3}', "no column 'was'"),
    ],
)
def test_a_bad_line_of_json_is_a_fault_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    file = tmp_path / "m.jsonl"
    good = json.dumps({"profile": "p", "field": "age", "was": "1", "now": "2"})
    file.write_text(f"{good}\n{line}\n{good}\n")
    rows = list(read_manifest(file))
    assert [type(row.content) for row in rows] == [Correction, Fault, Correction]
    assert isinstance(rows[1].content, Fault)
    assert rows[1].content.message.startswith(message)
    assert rows[1].line == 2


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ManifestError, match=r"m\.parquet cannot be read"):
        list(read_manifest(tmp_path / "m.parquet"))


@given(st.text())
def test_escaping_gives_no_formula_and_loses_nothing(text: str) -> None:
    escaped = escape_cell(text)
    assert not escaped.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unescape_cell(escaped) == text


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    rows = [*EXPECTED, Correction("=1+1", None, "keep", "yes", "no", '-2"\n,x', "@s", "+1")]
    assert write_manifest(tmp_path / "m.csv", rows) == 3
    assert [row.content for row in read_manifest(tmp_path / "m.csv")] == rows


def test_names_are_found_however_their_accents_are_composed(tmp_path: Path) -> None:
    composed, apart = "Andr\u00e9_male_X_30", "Andre\u0301_male_X_30"
    out = a_dataset(tmp_path / "out", people(apart))
    relabel(out, manifests=[a_manifest(tmp_path / "m.csv", (composed, "", "age", "30", "31"))])
    assert labels(out)[f"{apart}/normal.jpg"]["age"] == 31


def test_memory_does_not_grow_with_the_rows_of_a_manifest(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        file = tmp_path / f"{count}.csv"
        with file.open("w") as stream:
            stream.write("profile,name,field,was,now\n")
            stream.writelines(f"nobody-{i},,gender,female,male\n" for i in range(count))
        tracemalloc.start()
        rows = sum(1 for _ in read_manifest(file))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == count
        return used

    # Allocation does not depend on the machine: thirty times the rows, the same memory.
    # (benchmarks/relabel.py --million runs the whole command on a million.)
    assert peak(30_000) < 1.2 * peak(1_000) + 100_000
