from pathlib import Path

import pandas as pd
import pytest

from facecrop.errors import RawError
from facecrop.labels.layouts import scan
from facecrop.labels.tables import read_claims

PICTURES = ("a.jpg", "b.jpg", "sub/c.png", "50%.jpg", "with, comma.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in PICTURES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    return tmp_path


def table(folder: Path, text: str, name: str = "people.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def error(folder: Path, text: str) -> str:
    with pytest.raises(RawError) as caught:
        list(read_claims(table(folder, text)))
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(str(folder) + "/")


def test_a_table_says_who_is_on_which_picture(folder: Path) -> None:
    text = "path,profile,mask,gender,age\na.jpg,anna,worn,f,30\nsub/c.png,anna,None,Female,30\n"
    found = scan(table(folder, text))
    assert found.layout == "table"
    assert [
        (file.path, file.profile, file.name, file.mask, file.gender, file.age)
        for file in found.files
    ] == [
        ("a.jpg", "anna", "a", "worn", "female", 30),
        ("sub/c.png", "anna", "c", "none", "female", 30),
    ]
    assert found.files[0].size == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_commas_semicolons_and_tabs_are_told_apart(
    folder: Path, delimiter: str, encoding: str, end: str
) -> None:
    rows = [["Path", " profile ", "note"], ["a.jpg", "anna", "x"], ["b.jpg", "NA", ""]]
    text = end.join(delimiter.join(row) for row in rows) + end
    read = list(read_claims(table(folder, text, encoding=encoding)))
    nothing = (None, None, None)
    assert read == [("a.jpg", "anna", nothing), ("b.jpg", "NA", nothing)]


def test_only_path_and_profile_are_needed_and_empty_cells_claim_nothing(folder: Path) -> None:
    text = "profile,path,age\nanna,a.jpg,\n\nben,b.jpg\n"
    assert [claims for _, _, claims in read_claims(table(folder, text))] == [(None,) * 3] * 2


def test_cells_in_quotes_may_hold_separators_and_percent_signs_are_escaped(folder: Path) -> None:
    text = 'path,profile\n"with, comma.jpg",anna\n50%.jpg,100%\n'
    found = scan(table(folder, text))
    assert [(file.path, file.profile) for file in found.files] == [
        ("50%25.jpg", "100%25"),
        ("with, comma.jpg", "anna"),
    ]


def test_a_parquet_table_says_the_same(folder: Path) -> None:
    rows = pd.DataFrame(
        {
            "path": ["a.jpg", "b.jpg"],
            "profile": ["anna", "ben"],
            "age": [30.0, None],
            "more": [[1], [2]],
        }
    )
    rows.to_parquet(folder / "people.parquet")
    found = scan(folder / "people.parquet")
    assert [(file.path, file.profile, file.age) for file in found.files] == [
        ("a.jpg", "anna", 30),
        ("b.jpg", "ben", None),
    ]


@pytest.mark.parametrize(("text", "years"), [("0", 0), ("25.9", 25), ("150", 150), (" 7 ", 7)])
def test_an_age_is_in_whole_years(folder: Path, text: str, years: int) -> None:
    rows = read_claims(table(folder, f"path,profile,age\na.jpg,anna,{text}\n"))
    assert [claims[2] for _, _, claims in rows] == [years]


def test_pictures_that_are_not_there_are_counted(folder: Path) -> None:
    (folder / "folder.jpg").mkdir()
    text = "path,profile\na.jpg,anna\ngone.jpg,ben\npeople.csv,cleo\nfolder.jpg,dan\n"
    found = scan(table(folder, text))
    assert [file.path for file in found.files] == ["a.jpg"]
    assert found.ignored == {"missing-file": 1, "foreign": 1, "not-a-file": 1}
    with pytest.raises(RawError, match="left out: 1 missing-file"):
        scan(table(folder, "path,profile\ngone.jpg,ben\n"))


def test_different_ways_to_write_a_path_are_one(folder: Path) -> None:
    text = "path,profile\n./sub//c.png,team/\na.jpg,./team\n"
    found = scan(table(folder, text))
    assert [(file.path, file.profile) for file in found.files] == [
        ("a.jpg", "team"),
        ("sub/c.png", "team"),
    ]
    message = error(folder, "path,profile\nsub/c.png,a\nsub/./c.png,b\n")
    assert message == "people.csv:3: the path 'sub/c.png' comes twice"


@pytest.mark.parametrize(
    "path",
    ["../a.jpg", "/etc/passwd", "sub/../../a.jpg", "C:/a.jpg", "..\\a.jpg", "http://x/a.jpg", "."],
)
def test_no_path_leaves_the_folder_of_the_table(folder: Path, path: str) -> None:
    for column in ("path", "profile"):
        cells = {"path": "a.jpg", "profile": "anna", column: path}
        message = error(folder, f"path,profile\n{cells['path']},{cells['profile']}\n")
        assert message == (
            f"people.csv:2: {column} must be a relative path below the table's folder, got {path!r}"
        )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,x,covered,m,30", "3: mask 'covered' is not understood; choose from: correct, inc"),
        ("a.jpg,x,worn,mann,30", "3: gender 'mann' is not understood; choose from: f, female, m"),
        ("a.jpg,x,worn,m,old", "3: age 'old' is not a number of years between 0 and 150"),
        ("a.jpg,x,worn,m,7-8", "3: age '7-8' is not"),
        ("a.jpg,x,worn,m,-1", "3: age '-1' is not"),
        ("a.jpg,x,worn,m,999", "3: age '999' is not"),
        ("a.jpg,x,worn,m,nan", "3: age 'nan' is not"),
        (",x,worn,m,30", "3: path must be a relative path"),
        ("a.jpg,,worn,m,30", "3: profile must be a relative path"),
        ("b.jpg,x,worn,m,30", "3: the path 'b.jpg' comes twice"),
        ("a.jpg,ben,worn,f,30", "3: profile 'ben' has another gender or age than in an earlier"),
        ("a.jpg,ben,worn,m,31", "3: profile 'ben' has another gender or age than in an earlier"),
        ("a.jpg,x,worn,m,30,more", "3: 6 cells, but the header has 5 columns"),
        ('a.jpg,x,"worn,m,30', "3: unexpected end of data; is a quote not closed?"),
    ],
)
def test_a_bad_row_is_named_by_its_line(folder: Path, row: str, message: str) -> None:
    text = f"path,profile,mask,gender,age\nb.jpg,ben,worn,m,30\n{row}\n"
    assert error(folder, text).startswith(f"people.csv:{message}")


def test_lines_are_counted_also_where_some_are_blank_or_long(folder: Path) -> None:
    text = 'path,profile,note\n\n"a.jpg",anna,"two\nlines"\n\nb.jpg,ben,x\nb.jpg,ben,x\n'
    assert error(folder, text) == "people.csv:7: the path 'b.jpg' comes twice"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na.jpg\n", "no column 'profile'; found: path"),
        ("file,profile\na.jpg,x\n", "no column 'path'; found: file, profile"),
        ("", "no column 'path'; found: nothing"),
        ("path,profile,Path\na.jpg,x,b.jpg\n", "a column comes twice in path, profile, Path"),
    ],
)
def test_a_table_without_its_columns_says_what_it_has(
    folder: Path, text: str, message: str
) -> None:
    assert error(folder, text) == f"people.csv: {message}"


def test_what_is_no_text_and_no_parquet_is_refused(folder: Path) -> None:
    file = table(folder, "path,profile\nJosé.jpg,x\n", encoding="latin-1")
    with pytest.raises(RawError, match="is not utf-8; save it as UTF-8"):
        list(read_claims(file))
    with pytest.raises(RawError, match=r"bad.parquet cannot be read: "):
        list(read_claims(table(folder, "path,profile\n", "bad.parquet")))
