from random import Random
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facecrop.labels.groups import Groups, same_value_links


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20), st.randoms())
def test_groups_do_not_depend_on_the_order_of_links(links: Any, random: Random) -> None:
    shuffled = [(b, a) for a, b in links]
    random.shuffle(shuffled)
    answers = []
    for some in (links, shuffled):
        groups = Groups(10)
        for first, second in some:
            groups.join(first, second)
        answers.append(groups.names().tolist())
    assert answers[0] == answers[1]
    assert all(answers[0][first] == answers[0][second] for first, second in links)


def test_same_bytes_link_people_but_not_pictures_of_one_person() -> None:
    values, persons = np.array([7, 7, 7, 3, 3, -1, -1]), np.array([0, 0, 2, 1, 1, 0, 1])
    assert same_value_links(values, persons) == [(0, 2)]
