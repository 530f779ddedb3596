"""Typing commands in tests: in another process as a user does, or in this one, which is faster."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from facecrop.cli import main

CHECKOUT = Path(__file__).parent.parent
PROGRAM = (sys.executable, "-m", "facecrop")


def facecrop(
    *arguments: object, program: Sequence[str] = PROGRAM, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end in another process, without a terminal."""
    return subprocess.run(
        [*program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **({"env": environment()} | options),
    )


def typed(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program to its end in this process, with its output caught."""
    command = ["facecrop", *map(str, arguments)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", command),
        patch.dict(os.environ, COLUMNS="100"),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a child: the checkout on its path, a terminal of usual width."""
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return os.environ | {"PYTHONPATH": path, "COLUMNS": "100"} | changes
