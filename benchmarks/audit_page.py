"""What the review page costs with 10,000 suspects: bytes, time to first paint, scrolling.

Each suspect is a person of their own with seven crops: drawn portraits without background, 240 x
320, a few dozen people's repeated. Prints how long the page takes to write and how large it is;
and, of Chromium without a GPU: first paint, when the list answers, when the whole file is read;
the frames of a steady scroll and of jumps to places far apart; and how long a key, a decision and
a search take. Frames are as the browser's own clock gives them: 16.7 ms is every frame.

    python benchmarks/audit_page.py [--people 10000] [--keep FOLDER]
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from facecrop.checks.check import Check, Issue, Proposal, issue_key
from facecrop.checks.material import Material
from facecrop.commands.audit.page import write_audit_page
from facecrop.demo.people import draw_person
from facecrop.demo.portrait import portraits
from facecrop.images.codec import encode
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, write_table
from facecrop.labels.current import write_labels

DRAWN = 30
MASKS = {
    "incorrect_mask": "incorrect",
    **{f"mask{n}": "worn" for n in range(1, 6)},
    "normal": "none",
}
AGES = {"young": 22, "middle": 45, "old": 60}
WORDS = {"mask": ("worn", "incorrect", "none"), "gender": ("male", "female"), "age_group": (*AGES,)}
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]

PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SCROLL = """async ({frames, step}) => {
  const list = document.getElementById("list");
  const times = [];
  const next = () => new Promise((done) => requestAnimationFrame(done));
  list.scrollTop = 0;
  let last = await next(), place = 1;
  for (let n = 0; n < frames; n++) {
    place = (place * 48271) % 2147483647;
    list.scrollTop = step ? list.scrollTop + step : place % list.scrollHeight;
    const now = await next();
    times.push(now - last);
    last = now;
  }
  return times;
}"""
KEYS = """async ({key, count}) => {
  const times = [];
  for (let n = 0; n < count; n++) {
    const start = performance.now();
    document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    document.getElementById("detail").getBoundingClientRect();
    times.push(performance.now() - start);
    await new Promise((done) => requestAnimationFrame(done));
  }
  return times;
}"""
SEARCH = """async () => {
  const field = document.getElementById("search"), times = [];
  for (const text of ["0", "00", "female", "nobody", "taken for", ""]) {
    const start = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input"));
    document.getElementById("list").getBoundingClientRect();
    times.push(performance.now() - start);
  }
  return times;
}"""


def crops() -> list[dict[str, bytes]]:
    """Draw a few dozen people without background; return their crops by file stem."""
    people = []
    for number in range(DRAWN):
        drawn = {}
        for stem, portrait in portraits(1, draw_person(1, number)):
            alpha = portrait.alpha[..., None] / 255
            image = (portrait.image * alpha + 255 * (1 - alpha)).astype(np.uint8)
            small = cv2.resize(image, (240, 320), interpolation=cv2.INTER_AREA)
            drawn[stem] = encode(np.asarray(small, np.uint8), "jpg", 95)
        people.append(drawn)
    return people


def make_dataset(out: Path, count: int) -> Path:
    """Write index, labels, crops (as links) and a run; return the run."""
    pool, rows, said = crops(), [], []
    rng = np.random.default_rng(0)
    for number in range(count):
        gender, (group, age) = ("male", "female")[number % 2], list(AGES.items())[number % 3]
        profile = f"{number:06d}_{gender}_Asian_{age}"
        folder = out / "images" / profile
        folder.mkdir(parents=True)
        for stem, mask in MASKS.items():
            source = out / "images" / f"{number % DRAWN}-{stem}.jpg"
            if not source.exists():
                source.write_bytes(pool[number % DRAWN][stem])
            os.link(source, folder / f"{stem}.jpg")
            path = f"{profile}/{stem}.jpg"
            rows.append(
                {"path": path, "profile": profile, "name": stem, "digest": rng.bytes(32),
                 "mask_raw": mask, "gender_raw": gender, "age_raw": age, "status": "ok",
                 "image": f"images/{path}"}
            )  # fmt: skip
            row: dict[str, object] = {"path": path, "part": "val"}
            for axis, given in (("mask", mask), ("gender", gender), ("age_group", group)):
                sure = rng.uniform(0.6, 0.99)
                for word in WORDS[axis]:
                    share = sure if word == given else (1 - sure) / (len(WORDS[axis]) - 1)
                    row[f"p_{axis}_{word}"] = share
            said.append(row)
    rows.sort(key=lambda row: str(row["path"]))
    columns = {name: [row.get(name) for row in rows] for name in INDEX_SCHEMA.names}
    write_table(pa.table(columns, schema=INDEX_SCHEMA), out / INDEX_FILE)
    write_labels(out)
    run = out / "runs" / "base"
    run.mkdir(parents=True)
    write_table(pa.Table.from_pylist(said), run / "predictions.parquet")
    return run


def suspects(out: Path) -> list[Issue]:
    """Return a finding about each person but every twentieth, who are there to compare with."""
    issues = []
    for number, folder in enumerate(
        sorted(path for path in (out / "images").iterdir() if path.is_dir())
    ):
        if number % 20 == 0:
            continue
        was = folder.name.split("_")[1]
        now = "female" if was == "male" else "male"
        score = round(1 - number / 30_000, 3)
        issues.append(
            Issue("gender-suspect", "warning", folder.name,
                  tuple(f"{folder.name}/{stem}.jpg" for stem in MASKS),
                  f"labelled {was}, taken for {now} in 3 of 3 repeats", score,
                  issue_key("gender-suspect", folder.name), (Proposal("gender", was, now),),
                  {"p_given": round(1 - score, 3), "repeats": 3.0})
        )  # fmt: skip
    return issues


def measure(page: Path) -> None:
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser_path is None:
        sys.exit("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=SWITCHES)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        for turn in ("first", "second"):
            tab = context.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="commit", timeout=120_000)
            tab.wait_for_selector("html[data-ready]", timeout=120_000)
            ready = time.perf_counter() - start
            tab.wait_for_load_state("load", timeout=120_000)
            whole = time.perf_counter() - start
            tab.wait_for_timeout(500)
            paint = tab.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            )
            print(
                f"{turn} visit: first paint {paint:,.0f} ms; the list answers after "
                f"{1e3 * ready:,.0f} ms; the file is read after {1e3 * whole:,.0f} ms"
            )
            if turn == "first":
                tab.close()
        show("scrolling, 40 px a frame", tab.evaluate(SCROLL, {"frames": 600, "step": 40}))
        show("scrolling, 400 px a frame", tab.evaluate(SCROLL, {"frames": 600, "step": 400}))
        show("jumps to anywhere", tab.evaluate(SCROLL, {"frames": 200, "step": 0}))
        tab.locator("#list").focus()
        show("key j, script and layout", tab.evaluate(KEYS, {"key": "j", "count": 200}))
        show("decision, script and layout", tab.evaluate(KEYS, {"key": " ", "count": 200}))
        show("search, script and layout", tab.evaluate(SEARCH))
        session = context.new_cdp_session(tab)
        session.send("HeapProfiler.collectGarbage")
        heap = {one["name"]: one["value"] for one in metrics(session)}["JSHeapUsedSize"]
        rows = tab.locator("#list .row").count()
        print(f"rows that exist: {rows}; script memory {heap / 1e6:.0f} MB")
        browser.close()


def metrics(session: Any) -> list[dict[str, Any]]:
    session.send("Performance.enable")
    found: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return found


def show(what: str, times: list[float]) -> None:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    late = sum(one > 25 for one in times) / len(times)
    print(f"{what}: median {cuts[49]:.1f} ms, 95 % {cuts[94]:.1f}, 99 % {cuts[98]:.1f}, "
          f"longest {max(times):.1f}; {late:.1%} over 25 ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=10_527, help="every twentieth is no suspect")
    parser.add_argument("--keep", type=Path, help="where to make the dataset, and leave it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = given.keep or Path(temporary) / "set"
        run = out / "runs" / "base"
        if not (out / INDEX_FILE).exists():
            out.mkdir(parents=True, exist_ok=True)
            make_dataset(out, given.people)
        issues = suspects(out)
        check = Check(
            "gender-suspect",
            "genders that models doubt",
            "warning",
            "look at it",
            (),
            lambda _: iter(()),
        )
        start, used = time.perf_counter(), time.process_time()
        page = write_audit_page(out, issues, Material(out, run=run), (check,))
        took, used = time.perf_counter() - start, time.process_time() - used
        size = page.stat().st_size / 1e6
        print(
            f"{len(issues):,} suspects, {7 * len(issues):,} pictures: {size:.1f} MB, "
            f"written in {took:.1f} s ({used:.1f} s of CPU)"
        )
        measure(page)


if __name__ == "__main__":
    main()
