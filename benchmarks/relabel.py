"""What `facecrop relabel` costs: 1,000 corrections and a policy change on 20,000 rows.

Prints the CPU time of a fresh process that does it, that of one that only imports pandas and
pyarrow, their ratio (best of several runs each), and which files were opened. With `--million`,
also the time and the peak memory of a manifest of a million rows.

    python benchmarks/relabel.py [--million]
"""

import csv
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

RUNS = 5
PEOPLE, CORRECTED = 2858, 1000
STEMS = ("incorrect_mask", "mask1", "mask2", "mask3", "mask4", "mask5", "normal")
HEADER = ("profile", "name", "field", "was", "now")

IMPORTS = "import pandas, pyarrow"
# Of this process alone: getrusage would count what its parent used before it started.
PEAK = """
status = Path("/proc/self/status").read_text()
peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
print(f"peak memory {peak / 1e6:.0f} MB")
"""
RELABEL = (
    """
import sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from facecrop.commands.relabel.command import relabel
result = relabel(Path(sys.argv[1]), manifests=[sys.argv[2]], set_policy="threshold-58")
assert result.rows == 1000, result.rows
pictures = [path for path in opened if path.endswith((".jpg", ".jpeg", ".png"))]
print(f"{result.rows} rows, {result.images} images, {len(opened)} files opened, "
      f"{len(pictures)} of them pictures")
"""
    + PEAK
)
MILLION = (
    """
import sys
from pathlib import Path
from facecrop.commands.relabel.command import relabel
result = relabel(Path(sys.argv[1]), manifests=[sys.argv[2]], skip_missing=True)
print(f"{result.rows} rows applied, {result.skipped} skipped")
"""
    + PEAK
)


def names() -> list[str]:
    return [f"{n:06d}_{'fe' * (n % 2)}male_Asian_{18 + n % 43}" for n in range(PEOPLE)]


def make_dataset(out: Path) -> None:
    import pyarrow as pa

    from facecrop.index import INDEX_FILE, INDEX_SCHEMA, write_table
    from facecrop.labels.current import write_labels

    out.mkdir()
    masks = dict.fromkeys(STEMS, "worn") | {"incorrect_mask": "incorrect", "normal": "none"}
    rows = [
        {
            "path": f"{name}/{stem}.jpg", "profile": name, "name": stem,
            "digest": f"{name}{stem}".encode().ljust(32)[-32:], "mask_raw": masks[stem],
            "gender_raw": name.split("_")[1], "age_raw": int(name.split("_")[3]), "status": "ok",
        }
        for name in names()
        for stem in STEMS
    ]  # fmt: skip
    columns = {name: [row.get(name) for row in rows] for name in INDEX_SCHEMA.names}
    write_table(pa.table(columns, schema=INDEX_SCHEMA), out / INDEX_FILE)
    write_labels(out)


def write_rows(file: Path, rows: Iterable[tuple[str, ...]]) -> None:
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(chain([HEADER], rows))


def corrections(count: int) -> list[tuple[str, ...]]:
    other = {"male": "female", "female": "male"}
    genders = [(name, name.split("_")[1]) for name in names()]
    return [(name, "", "gender", was, other[was]) for name, was in genders[:count]]


def cpu_seconds(code: str, *arguments: str) -> tuple[float, str]:
    """Return the CPU seconds of a fresh process and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, ", ".join(done.stdout.splitlines())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "corrections.csv"
        write_rows(manifest, corrections(CORRECTED))
        imports, relabels, said = [], [], ""
        for run in range(RUNS):
            out = Path(folder) / f"out{run}"
            make_dataset(out)
            imports.append(cpu_seconds(IMPORTS)[0])
            seconds, said = cpu_seconds(RELABEL, str(out), str(manifest))
            relabels.append(seconds)
        print(said)
        print(f"import pandas, pyarrow: {min(imports):.2f} s CPU")
        print(f"relabel: {min(relabels):.2f} s CPU; ratio {min(relabels) / min(imports):.2f}")
        for count in (100_000, 1_000_000) if "--million" in sys.argv else ():
            wide, out = Path(folder) / f"{count}.csv", Path(folder) / str(count)
            strangers = ((f"x{n}", "", "gender", "male", "female") for n in range(count))
            write_rows(wide, chain(corrections(CORRECTED), strangers))
            make_dataset(out)
            seconds, said = cpu_seconds(MILLION, str(out), str(wide))
            print(f"{count:,} further rows: {said}, {seconds:.1f} s CPU")


if __name__ == "__main__":
    main()
