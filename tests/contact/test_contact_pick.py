"""Which records have a card, which have pictures, which are on the sheet of 50."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from facecrop.commands.contact.pick import OK_CARDS, ON_SHEET, lots_of, pick, spread

COLUMNS = ("path", "profile", "status", "reason")
STATUSES = st.sampled_from(
    [("ok", None), ("fallback", "face-by-sibling"), ("fallback", "face-by-prior"),
     ("reject", "no-face"), ("reject", "truncated"), ("pending", None)]
)  # fmt: skip


def an_index(states: list[tuple[str, str | None]], pictures: int = 7) -> pa.Table:
    rows = [
        (f"p{number // pictures:05}/{number % pictures}.jpg", f"p{number // pictures:05}", *state)
        for number, state in enumerate(states)
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    return pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(COLUMNS, columns, strict=True)}
    )


@given(st.lists(STATUSES, max_size=250))
def test_every_fallback_and_reject_has_a_card_with_pictures(
    states: list[tuple[str, str | None]],
) -> None:
    chosen = pick(an_index(states))
    doubtful = {row for row, (status, _) in enumerate(states) if status in {"fallback", "reject"}}
    ok = {row for row, (status, _) in enumerate(states) if status == "ok"}
    cards = set(chosen.cards)
    assert doubtful <= cards
    assert cards - doubtful <= ok
    assert len(cards & ok) == min(len(ok), OK_CARDS)
    assert chosen.pictured == cards
    assert set(chosen.sheet) <= cards
    assert len(chosen.sheet) == min(len(cards), ON_SHEET) == len(set(chosen.sheet))


@given(st.lists(STATUSES, max_size=80), st.integers(0, 60), st.integers(0, 60))
def test_limits_are_kept_and_pictures_go_to_cards_only(
    states: list[tuple[str, str | None]], most_cards: int, most_pictures: int
) -> None:
    chosen = pick(an_index(states), most_cards=most_cards, most_pictures=most_pictures)
    assert len(chosen.cards) <= most_cards
    assert len(chosen.pictured) == min(most_pictures, len(chosen.cards))
    assert chosen.pictured <= set(chosen.cards)
    assert set(chosen.sheet) <= chosen.pictured


def test_the_ok_sample_has_one_picture_of_as_many_profiles_as_possible() -> None:
    chosen = pick(an_index([("ok", None)] * 7 * 300))
    assert len({row // 7 for row in chosen.cards}) == OK_CARDS


def test_pictures_are_shared_fairly_between_reasons() -> None:
    states = [("reject", "no-face")] * 900 + [("reject", "truncated")] * 20
    chosen = pick(an_index(states), most_pictures=100)
    kinds = Counter(states[row][1] for row in chosen.pictured)
    assert kinds == {"no-face": 80, "truncated": 20}


def test_the_sheet_shows_some_of_what_went_wrong_and_fills_up_with_what_went_well() -> None:
    states = [("ok", None)] * 300 + [("fallback", "face-by-prior")] * 40
    states += [("reject", "no-face")] * 40
    kinds = Counter(states[row][0] for row in pick(an_index(states)).sheet)
    assert kinds == {"ok": 35, "fallback": 10, "reject": 5}
    few = states[290:]
    kinds = Counter(few[row][0] for row in pick(an_index(few)).sheet)
    assert kinds == {"ok": 10, "fallback": 35, "reject": 5}


@given(st.permutations(range(40)), st.integers(0, 45))
def test_spreading_asks_the_paths_alone(order: list[int], count: int) -> None:
    paths = [f"p{number % 6}/{number}" for number in range(40)]
    lots, groups = lots_of(pa.chunked_array([paths])), np.arange(40, dtype=np.int32) % 6
    once = spread(np.arange(40), lots, groups, count).tolist()
    again = spread(np.array(order), lots, groups, count).tolist()
    assert once == again
    shares = Counter(f"p{groups[row]}" for row in once)
    assert not once or max(shares.values()) - min(shares.get(f"p{n}", 0) for n in range(6)) <= 1
