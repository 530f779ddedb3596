"""How fast people are drawn on one core, and what the ideal observer scores for several seeds.

Run: python benchmarks/drawing.py [PROFILES]
"""

import sys
import time

import cv2

from facecrop.demo.encode import jpeg
from facecrop.demo.observer import expected_scores, scores
from facecrop.demo.people import FILES, draw_person
from facecrop.demo.portrait import portraits

_PEOPLE = 2700
_SEEDS = range(5)
_ROUNDS = 3


def pictures_a_second(profiles: int) -> tuple[float, float]:
    """Return pictures drawn and encoded for a second of wall clock and of CPU, best of three."""
    cv2.setNumThreads(1)
    walls, cpus = [], []
    for round_ in range(_ROUNDS + 1):  # the first one also fills caches and is left out
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(profiles if round_ else 1):
            for _, portrait in portraits(round_, draw_person(round_, number)):
                jpeg(portrait.image)
        if round_:
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    pictures = profiles * len(FILES)
    return pictures / min(walls), pictures / min(cpus)


def main() -> None:
    profiles = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    wall, cpu = pictures_a_second(profiles)
    print(f"{wall:.1f} pictures a second on one core, {cpu:.1f} for a second of CPU")
    expected = expected_scores()
    print(f"ideal observer, expected: picture {expected.picture:.3f}, person {expected.person:.3f}")
    for seed in _SEEDS:
        here = scores([draw_person(seed, number) for number in range(_PEOPLE)])
        print(
            f"seed {seed}, {_PEOPLE} people: picture {here.picture:.3f}, person {here.person:.3f}"
        )


if __name__ == "__main__":
    main()
