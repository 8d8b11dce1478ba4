"""The README says what there is: settings, commands, routes, and files that it links to."""

from __future__ import annotations

import re
from pathlib import Path

import click

from costlens.cli import COMMANDS, main
from costlens.config import load_settings
from costlens.factory import create_app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_setting_is_in_the_table() -> None:
    source = (ROOT / "costlens/config.py").read_text()
    read = set(re.findall(r'(?:_value|_number)\(env, "([A-Z_]+)"', source))
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", section("Settings"), re.MULTILINE))
    assert documented == read


def test_documented_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings({"COSTLENS_DATA": str(tmp_path)})
    defaults = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", section("Settings"), re.MULTILINE))
    assert defaults["COSTLENS_BASE_URL"] == settings.base_url
    assert defaults["COSTLENS_DEFAULT_PLAN"] == settings.default_plan
    assert defaults["COSTLENS_WEB_WORKERS"] == str(settings.web_workers)
    assert defaults["COSTLENS_MAX_BODY_BYTES"] == str(settings.max_body_bytes)


def test_every_command_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", section("Commands"), re.MULTILINE)
    documented: set[str] = set()
    for row in rows:
        first, *others = re.findall(r"`([^`]+)`", row)
        _, name, *rest = first.split()
        documented.add(" ".join([name, *(word for word in rest[:1] if word.islower())]))
        documented |= {f"{name} {other}" if rest else other for other in others}
    there: set[str] = set()
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        subcommands = command.commands if isinstance(command, click.Group) else {}
        there |= {f"{name} {sub}" for sub in subcommands} or {name}
    assert documented == there


def test_every_route_of_the_api_is_in_the_table(tmp_path: Path) -> None:
    app = create_app(load_settings({"COSTLENS_DATA": str(tmp_path)}))
    there = {
        f"{method} {re.sub('<.*?>', '{id}', rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint.startswith("api_") and not rule.rule.startswith("/api/")
    }
    documented: set[str] = set()
    for row in re.findall(r"^\| (`(?:GET|POST|PUT|DELETE).*?) \| ", section("API"), re.MULTILINE):
        method = "GET"
        for text in re.findall(r"`([^`]+)`", row):
            method, _, path = text.partition(" ") if " " in text else (method, "", text)
            documented.add(f"{method} {path}")
    assert documented == there


def test_linked_files_exist() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
