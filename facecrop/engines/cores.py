"""How many CPUs there are for us."""

import os


def usable_cores() -> tuple[int, ...]:
    """Return the numbers of the CPUs that this process may use, rising.

    They may be fewer than the machine has: `taskset`, batch systems and containers allow some.
    Where the system cannot tell, all are returned.
    """
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
