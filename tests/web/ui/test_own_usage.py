"""A member's own usage: the runs of this person, and of nobody else."""

from __future__ import annotations

import re

from flask import Flask

from costlens.services.keys import create_key
from costlens.store.engine import Store
from tests.web.caller import Caller
from tests.web.people import Person

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1_000_000, "outputTokens": 0}


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.partition("<main")[2]))


def test_own_runs_by_model_repository_and_prompt(
    app: Flask, store: Store, owner: Person, member: Person, alice_key: str
) -> None:
    bob = Caller(app, create_key(store, "Acme", "bob's", member="bob@example.com"))
    shared = Caller(app, create_key(store, "Acme", "CI"))
    for repo in ("acme/web", "acme/web", None):
        body = RUN | ({"repo": repo} if repo else {})
        assert bob.post("/integrations/run", body | {"promptId": "write-v2"}).status_code == 200
    shared.post("/integrations/run", RUN | {"actor": "bob@example.com", "success": False})
    shared.post("/integrations/run", RUN | {"model": "gpt-5.4-mini"})  # nobody's
    Caller(app, alice_key).post("/integrations/run", RUN | {"repo": "acme/secret"})
    page = words(member.get("usage"))
    assert "Runs 4 " in page
    assert "75.0 % 3 of 4 runs" in page
    assert "acme/web 2 50.0 %" in page
    assert "write-v2 3 75.0 %" in page
    assert page.count("Total 4 $") == 3  # each table adds up to the same
    assert "gpt-5.4-mini" not in page
    assert "acme/secret" not in page
    assert "acme/secret" in words(owner.get("usage"))


def test_before_the_first_run(member: Person) -> None:
    assert "No run names you yet" in member.get("usage")
    assert "No run names you yet" in member.get("usage?period=junk")
