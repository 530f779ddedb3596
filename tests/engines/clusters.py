"""A Ray cluster on this machine for tests: nodes of one CPU each, no network, no dashboard."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
from program import CHECKOUT
from ray.cluster_utils import Cluster

TESTS = Path(__file__).parents[1]
_NODE: dict[str, Any] = {
    "num_cpus": 1,
    "object_store_memory": 80 << 20,
    "include_dashboard": False,
}


@contextmanager
def three_nodes() -> Iterator[Cluster]:
    """Run a cluster of a head and two nodes that can import fakes; connect this process to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(CHECKOUT)]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else whatever runs beside the tests comes first
        cluster = Cluster(initialize_head=True, head_node_args=_NODE)
        try:
            for _ in range(2):
                add_node(cluster)
            ray.init(address=cluster.address, log_to_driver=False)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def add_node(cluster: Cluster) -> Any:
    """Add a node of one CPU and return it, without waiting for it."""
    node = {name: value for name, value in _NODE.items() if name != "include_dashboard"}
    return cluster.add_node(wait=False, **node)
