"""Who looks at the pictures of an audit: this machine, or all of a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facecrop.commands.card import package_versions
from facecrop.commands.node import check_alike, check_seen
from facecrop.engines.each import Calls, Each, InThreads, InWorkers


@dataclass(frozen=True, slots=True)
class OnNode:
    """Makes the work of an audit on any machine that sees the same files.

    Args:
        folders: What must be seen, absolute.
        expected: Versions of packages where the audit began.
    """

    folders: Sequence[Path]
    expected: Mapping[str, str]

    def __call__(self) -> Calls:
        """Return the work.

        Raises:
            ConfigError: This machine does not see RAW or OUT, or has other versions.
        """
        for folder in self.folders:
            check_seen(folder, folder)
        check_alike(self.expected, package_versions())
        return Calls()


@contextmanager
def looking(out: Path, raw: Path | None, engine: str, address: str | None) -> Iterator[Each]:
    """Yield who looks at pictures; a cluster is asked when the first one is to be looked at.

    Args:
        out: The dataset.
        raw: Its raw folder, if that is there.
        engine: `local` or `ray`.
        address: Of the cluster.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    if engine == "local":
        yield InThreads()
        return
    from facecrop.engines.ray import RayEngine  # noqa: PLC0415 - an extra, and slow to import

    folders = [out.resolve(), *([raw] if raw is not None else [])]
    make = OnNode(folders, package_versions())
    with InWorkers(lambda: RayEngine(address=address).crew(make)) as each:
        yield each
