"""What a process loads before it works: a client almost nothing, a web process nothing that only jobs need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.servers import ROOT, environment

# What a web process must not wait for: jobs and rare calls load it when they need it. `google` is protobuf, for OTLP.
JOBS_ONLY = {"genai_prices", "github", "granian", "google", "numpy", "rich", "slack_sdk", "workers"}


def loaded(code: str, data: Path) -> set[str]:
    """Packages beyond the standard library that a program has loaded at its end."""
    shown = "import sys; print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    command = (sys.executable, "-c", f"{code}\n{shown}")
    done = subprocess.run(command, env=environment(data), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    packages = done.stdout.splitlines()[-1].split()
    return {name for name in packages if not name.startswith("_")}  # a venv's own hooks


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("import costlens", {"costlens"}),
        ("import costlens.cli", {"costlens", "click"}),
        ("import costlens.cli as cli; cli.main(['--help'], standalone_mode=False)", {"costlens", "click"}),
        ("import costlens.cli as cli; cli.main(['--version'], standalone_mode=False)", {"costlens", "click"}),
    ],
)
def test_the_command_loads_click_alone(tmp_path: Path, code: str, packages: set[str]) -> None:
    assert loaded(code, tmp_path) == packages


def test_a_web_process_loads_nothing_that_only_jobs_need(tmp_path: Path) -> None:
    found = loaded("from costlens.factory import create_app; create_app()", tmp_path)
    assert {"flask", "sqlalchemy", "redis"} <= found
    assert not found & JOBS_ONLY
