"""The package as people install it: built from a clean checkout, outside of it, in environments of its own."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from costlens import __version__
from costlens.cli import COMMANDS
from tests.e2e.facts import code_run, write_snapshot
from tests.e2e.servers import OURS, PLAIN, ROOT, Server, a_run, free_port, wait_until

IGNORED = [".git"] + [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
CLIENT = {"report", "hook"}  # what needs the base install only
BASE = {"click", "httpx"}
LICENCES = {
    "LICENSE",
    "costlens/static/icons.LICENSE.txt",
    "costlens/static/vendor/chart.js-4.6.1/LICENSE.md",
    "costlens/static/vendor/htmx-4.0.1/LICENSE",
    "costlens/static/vendor/swagger-ui-5.35.0/LICENSE",
    "costlens/static/vendor/swagger-ui-5.35.0/LICENSE-of-parts.txt",
}


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with costlens in it, and a folder elsewhere to work in."""

    place: Path
    folder: Path

    def run(
        self, *arguments: str | Path, program: str = "costlens", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        command = (self.place / "bin" / program, *arguments)
        return subprocess.run(
            command, cwd=self.folder, env=clean(**settings), capture_output=True, text=True, timeout=120, check=False
        )

    def python(self, code: str) -> str:
        """What a program prints. Raises AssertionError when it fails."""
        done = self.run("-c", code, program="python")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def clean(**settings: str) -> dict[str, str]:
    """An environment that leads to no checkout and no other server."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "PYTHONPATH"))}
    return rest | settings


def tracked(folder: Path) -> set[str]:
    """Files below the folder that git would not ignore."""
    found = set()
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not ignored(name)]
        found |= {str((Path(place) / name).relative_to(folder)) for name in files if not ignored(name)}
    return found


def ignored(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in IGNORED)


def pip(*arguments: str | Path) -> None:
    command = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)
    done = subprocess.run(command, env=clean(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout as somebody else would get it."""
    place = tmp_path_factory.mktemp("source") / "costlens"
    shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(*IGNORED))
    return place


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive."""
    place = tmp_path_factory.mktemp("dist")
    command = (sys.executable, "-m", "build", "--outdir", place, checkout)
    done = subprocess.run(command, env=clean(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in place.glob("*.tar.gz")] == [f"costlens-{__version__}.tar.gz"]
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def base(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """`pip install .`: the client alone, with what it needs from the registry."""
    found = environment(tmp_path_factory.mktemp("base"))
    pip("--python", found.place / "bin" / "python", "install", checkout)
    return found


@pytest.fixture(scope="module")
def whole(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel alone; what it needs is that of this environment, whose own costlens stays out of reach."""
    found = environment(tmp_path_factory.mktemp("whole"))
    pip("--python", found.place / "bin" / "python", "install", "--no-deps", wheel)
    packages = Path(found.python("import sysconfig; print(sysconfig.get_path('purelib'))"))
    theirs = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(theirs)))
    for name, file in (("templates", "_base.html"), ("migrations", "env.py")):  # another package's, of the same name
        (packages / name).mkdir()
        (packages / name / file).write_text("not ours")
    for module in ("costlens", "workers"):
        assert found.python(f"import {module}; print({module}.__file__)").startswith(str(packages))
    return found


def environment(place: Path) -> Installed:
    venv.create(place / "venv", symlinks=True)
    (place / "empty").mkdir()
    return Installed(place / "venv", place / "empty")


@pytest.fixture(scope="module")
def server(whole: Installed) -> Iterator[Server]:
    """`costlens up` of the wheel, started in an empty folder."""
    assert list(whole.folder.iterdir()) == []
    found = Server(whole.folder / "var", free_port())
    output = whole.place.parent / "up.log"
    with output.open("wb") as log:
        command = (whole.place / "bin" / "costlens", "up", "--port", str(found.port))
        found.process = subprocess.Popen(command, cwd=whole.folder, env=clean(), stdout=log, stderr=log)
    try:
        wait_until(lambda: "Create the first owner" in output.read_text(), 30, output)
        found.wait_ready()
        yield found
    finally:
        found.end()


def test_a_checkout_is_left_as_it_was(checkout: Path, wheel: Path, base: Installed) -> None:
    assert tracked(checkout) == tracked(ROOT)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"costlens-{__version__}.dist-info/METADATA").decode()
    there = tracked(ROOT)
    inside = ("templates/", "migrations/")
    expected = {name for name in there if name.startswith(("costlens/", "workers/"))}
    expected |= {f"costlens/_data/{name}" for name in there if name.startswith(inside)}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "costlens/py.typed" in names
    assert {f"costlens-{__version__}.dist-info/licenses/{name}" for name in LICENCES} <= names
    vendored = {name for name in names if name.startswith("costlens/static/vendor/")}
    assert {name.split("/")[3] for name in vendored} == {name.split("/")[3] for name in LICENCES if "vendor" in name}
    head = metadata.partition("\n\n")[0]
    for line in (f"Version: {__version__}", "Requires-Python: >=3.11", "License-Expression: MIT", "Author: "):
        assert f"\n{line}" in head
    required = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", head, re.MULTILINE)
    assert set(required) == BASE


def test_the_server_runs_from_the_wheel_in_an_empty_folder(
    server: Server, whole: Installed, base: Installed, tmp_path: Path
) -> None:
    settings = {"COSTLENS_BASE_URL": server.url}
    done = whole.run("organization", "create", "Acme", "--owner", "alice@example.com", "--json", **settings)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    with server.client(made["apiKey"]) as client:
        assert client.post("/integrations/run", json=a_run(1, **code_run(1, 1))).status_code == 200
        snapshot = write_snapshot(tmp_path / "pulls.jsonl", 1)
        assert whole.run("github", "import", snapshot).returncode == 0
        wait_until(lambda: client.get("/links").json()["links"], 15)
    with httpx.Client(follow_redirects=True, **PLAIN) as browser:
        page = browser.get(made["signInUrl"])
        assert page.status_code == 200
        assert "acme/shop" in page.text
        files = set(re.findall(r'(?:href|src)="(/static/[^"#?]+)', page.text))
        assert {Path(file).suffix for file in files} >= {".css", ".js", ".svg"}
        for file in files:
            assert browser.get(f"{server.url}{file}").status_code == 200, file
    report = base.run("report", "roi", COSTLENS_URL=server.url, COSTLENS_API_KEY=made["apiKey"])
    assert report.returncode == 0, report.stderr
    assert "acme/shop" in report.stdout


def test_the_server_stops_and_leaves_nothing_running(server: Server, whole: Installed) -> None:
    assert server.stop() == 0
    assert server.pids() == {}
    assert [path.name for path in whole.folder.iterdir()] == ["var"]


def test_the_base_install_is_small(base: Installed) -> None:
    listed = base.python("from importlib.metadata import distributions as d; print(*(one.name for one in d()))").split()
    assert {"costlens", *BASE} <= set(listed)
    assert len(listed) < 12, listed
    assert base.run("--version").stdout == f"costlens, version {__version__}\n"


@pytest.mark.parametrize("words", ["", *sorted(CLIENT), "report roi"])
def test_help_of_the_client_needs_the_base_install_only(base: Installed, words: str) -> None:
    done = base.run(*words.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: costlens")


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - CLIENT))
def test_a_command_of_the_server_says_what_it_needs(base: Installed, name: str) -> None:
    for arguments in ((name,), (name, "--help")):
        done = base.run(*arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        assert re.fullmatch(
            rf"Error: `costlens {name}` is the server's and needs \w+: pip install 'costlens\[server\]'\n", done.stderr
        ), done.stderr
