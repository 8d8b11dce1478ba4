"""Settings → Linking: rules with their tests, new ones compared, applied and taken back."""

from __future__ import annotations

from flask import Flask

from costlens.services import rulesets
from costlens.services.linking import link_repository
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import Caller
from tests.web.people import Person, rows_of

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "repo": "acme/web"}


def test_new_rules_from_first_to_last(
    app: Flask, store: Store, acme: Organization, owner: Person, member: Person, alice_key: str
) -> None:
    caller = Caller(app, alice_key)
    caller.post("/integrations/run", RUN)
    (repository,) = [row.id for row in rows_of(store, t.repositories)]
    link_repository(store, acme.id, repository)
    page = owner.get("linking")
    assert "Rules in force: version 1" in page
    assert "as delivered" in page
    assert "Not tested yet" in page
    answer = caller.get("/linking").json
    assert (answer["ruleset"], answer["draft"], answer["versions"]) == ({"version": 1, "threshold": 0.8}, None, [])
    assert [rule["rule"] for rule in answer["rules"]][:2] == ["M1", "X1"]

    assert "These are the rules in force" in owner.send("linking", threshold="0.80")
    assert "between 0 and 1" in owner.send("linking", threshold="nan")
    assert "such as 0.80" in owner.send("linking", threshold="high")
    assert "threshold lies between" in owner.send("linking", threshold="0.2")
    assert "counted, suggested or off" in owner.send("linking", threshold="0.8", B1="maybe")
    assert "Nothing has changed yet" in owner.send("linking", threshold="0.9", T2="counted", M1="off")
    page = owner.get("linking")
    assert "Comparing with the links that hold" in page
    assert "Apply as version" not in page
    assert "/vendor/htmx-" in page  # without which the comparison would seem to go on for ever

    (draft,) = rulesets.waiting(store)
    rulesets.compare(store, *draft)
    page = owner.get("linking")
    assert "Nothing would move: all 1 run" in page
    assert "/vendor/htmx-" not in page
    assert "Apply as version 2" in page
    assert "Apply as version 2" not in member.get("linking")
    told = caller.get("/linking").json["draft"]
    assert (told["threshold"], told["stances"], told["moves"]) == (0.9, {"T2": "counted"}, [])

    assert "The rules are in force" in owner.send("linking/apply", ruleset=draft[1])
    page = owner.get("linking")
    assert "being computed anew: 0 of 1 run done; 0 of 1 repository finished." in " ".join(page.split())
    link_repository(store, acme.id, repository)
    page = owner.get("linking")
    assert "Past links are being computed anew" not in page
    assert "Rules in force: version 2" in page
    assert "No such version" in owner.send("linking/use-again", version="7")
    assert "Nothing has changed yet" in owner.send("linking/use-again", version="1")
    assert owner.send("linking/discard") == "Dropped"
    assert owner.send("linking/discard") == "There was nothing to drop"
    assert [one["version"] for one in caller.get("/linking").json["versions"]] == [2]


def test_what_the_tests_came_to(app: Flask, store: Store, acme: Organization, owner: Person, alice_key: str) -> None:
    at = rows_of(store, t.organizations)[0].created_at
    with store.write() as tx:
        rows = [("B1", 60, 30), ("T2", 100, 100), ("C1", 0, 0)]
        tx.execute(
            t.link_calibrations.insert(),
            [
                {"organization_id": acme.id, "rule": rule, "tested": tested, "right": right, "measured_at": at}
                for rule, tested, right in rows
            ],
        )
    page = " ".join(owner.get("linking").split())
    assert "only suggest: surely below the threshold" in page
    assert "count: surely above the threshold" in page
    assert "0.377–0.623" in page
    rules = {rule["rule"]: rule for rule in Caller(app, alice_key).get("/linking").json["rules"]}
    assert (rules["B1"]["precision"], rules["B1"]["proposal"]) == (0.5, "suggested")
    assert (rules["C1"]["tested"], rules["C1"]["precision"], rules["C1"]["interval"]) == (0, None, None)
    assert (rules["X1"]["tested"], rules["T2"]["proposal"]) == (None, "counted")
