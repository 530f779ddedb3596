"""The whole loop in a real browser: audit, filter, decide, reload, save, relabel, audit again."""

from pathlib import Path
from typing import Any

from browsers import needs_browser
from made_datasets import SEVEN, texture
from review_browser import Visit, visiting
from review_dataset import a_dataset, a_run, people

from facecrop.checks.table import CHECKS
from facecrop.commands.audit.command import audit
from facecrop.commands.relabel.command import relabel
from facecrop.images.frames import Image
from facecrop.index import LABELS_FILE, read_table
from facecrop.labels.manifests import read_manifest

pytestmark = needs_browser

NAMES = people(60)
WOMAN, OLD, MAN, SWAPPED, BARE, SURE = (NAMES[number] for number in (1, 2, 4, 5, 8, 10))
SUSPECTS = ("gender-suspect", "age-suspect", "swapped-masks", "mask-suspect")
RUN = "base"


def photograph(profile: str, stem: str) -> Image:
    """A crop like no other."""
    return texture(len(SEVEN) * int(profile[:6]) + list(SEVEN).index(stem), 64, 48)


def labels(out: Path) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in read_table(out / LABELS_FILE).to_pylist()}


def suspects(out: Path) -> dict[str, set[str]]:
    """Audit, and return who is doubted by each check on labels."""
    found: dict[str, set[str]] = {}
    for issue in audit(out, RUN).issues:
        if issue.check in SUSPECTS:
            found.setdefault(issue.check, set()).add(issue.profile)
    return found


def decide(visit: Visit, check: str, profile: str, *keys: str) -> None:
    """Filter by a check and a person, and press keys on what is shown."""
    visit.page.locator("#check").select_option(check)
    visit.find(profile)
    assert visit.who == profile
    visit.press(*keys)


def test_what_was_decided_on_the_page_is_not_doubted_again(browser: Any, tmp_path: Path) -> None:
    out = a_dataset(tmp_path / "set", NAMES, crop=photograph)
    wrong = {WOMAN: "male", MAN: "female", SURE: "female"}
    a_run(
        out,
        {name: {"gender": gender} for name, gender in wrong.items()}
        | {OLD: {"age_group": "young"}}
        | {f"{SWAPPED}/normal.jpg": {"mask": "incorrect"}}
        | {
            f"{SWAPPED}/incorrect_mask.jpg": {"mask": "none"},
            f"{BARE}/mask2.jpg": {"mask": "none"},
        },
    )
    assert set(SUSPECTS) <= set(CHECKS)
    assert suspects(out) == {
        "gender-suspect": {WOMAN, MAN, SURE},
        "age-suspect": {OLD},
        "swapped-masks": {SWAPPED},
        "mask-suspect": {BARE},
    }
    before = labels(out)
    with visiting(browser, out) as visit:
        visit.page.get_by_label("Reviewer").fill("Ada")
        decide(visit, "age-suspect", OLD, "p")
        decide(visit, "gender-suspect", WOMAN, "p")
        visit.reload()
        decide(visit, "gender-suspect", MAN, "g", "2")
        decide(visit, "gender-suspect", SURE, " ")  # looked at, and right as it is
        decide(visit, "swapped-masks", SWAPPED, "s")
        decide(visit, "mask-suspect", BARE, "p")
        visit.reload()
        assert visit.text("#progress") == "6 of 6 decided, 6 corrections"  # two of the swap
        manifest = visit.save(tmp_path / "review.csv")
    assert {row.content.profile for row in read_manifest(manifest)} == {
        OLD, WOMAN, MAN, SWAPPED, BARE,
    }  # fmt: skip
    assert relabel(out, manifests=[str(manifest)]).rows == 6
    after = labels(out)
    changed = {path.partition("/")[0] for path in after if after[path] != before[path]}
    assert changed == {OLD, WOMAN, MAN, SWAPPED, BARE}
    assert {after[path]["gender"] for path in after if path.startswith(MAN)} == {"female"}
    assert after[f"{SWAPPED}/normal.jpg"]["mask"] == "incorrect"
    assert suspects(out) == {"gender-suspect": {SURE}}  # what was left as it is alone
    assert audit(out, RUN, since="previous").new == frozenset()
    with visiting(browser, out) as again:
        assert again.texts("#list .row .path") == [SURE]
        options = again.page.locator("#check option")
        offered = options.evaluate_all("all => all.map(one => one.value)")
        assert set(offered) & set(SUSPECTS) == {"gender-suspect"}
