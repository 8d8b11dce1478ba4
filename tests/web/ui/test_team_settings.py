"""Teams: made, changed and deleted, and what that does to runs."""

from __future__ import annotations

from flask import Flask

from costlens.services.key_settings import WantedKey, create_key
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.members import member_of
from costlens.store.organizations import Organization
from tests.web.caller import Caller
from tests.web.people import Person, audit_of, rows_of, signed_in, text_of

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}


def team_of_run(store: Store, caller: Caller, **fields: object) -> int | None:
    caller.post("/integrations/run", RUN | fields)
    found: int | None = rows_of(store, t.runs)[-1].team_id
    return found


def test_a_team_from_first_to_last(app: Flask, store: Store, acme: Organization, owner: Person, alice_key: str) -> None:
    caller = Caller(app, alice_key)
    assert team_of_run(store, caller, repo="acme/web") is None
    assert "No teams yet" in owner.get("teams")
    assert "Payments is there" in owner.send("teams", name=" Payments ", hourly_cost="87.50")
    team = rows_of(store, t.teams)[0]
    assert (team.name, team.slug, team.hourly_cost_cents) == ("Payments", "payments", 8750)

    repository, alice = rows_of(store, t.repositories)[0].id, rows_of(store, t.members)[0].id
    assert owner.send(f"teams/{team.id}/repositories", repository=[repository]) == "Repositories saved"
    assert team_of_run(store, caller, repo="acme/web") == team.id
    assert team_of_run(store, caller) is None
    assert owner.send(f"teams/{team.id}/members", member=[alice, 10**9]) == "Members saved"
    assert team_of_run(store, caller) == team.id
    page = owner.get(f"teams/{team.id}")
    assert page.count("checked") == 2
    assert "$87.50" in owner.get("teams")

    assert owner.send(f"teams/{team.id}", name="Money", hourly_cost="") == "Saved"
    assert rows_of(store, t.teams)[0].hourly_cost_cents is None
    owner.send(f"teams/{team.id}/members")
    owner.send(f"teams/{team.id}/repositories")
    assert team_of_run(store, caller, repo="acme/web") is None

    owner.send(f"teams/{team.id}/repositories", repository=repository)
    assert owner.send(f"teams/{team.id}/delete") == "Money was deleted"
    assert team_of_run(store, caller, repo="acme/web") is None
    report = owner.client.get("/app/acme/teams?compare=none").text
    assert "Deleted team" in report  # what its runs cost is still there
    assert [entry[1] for entry in audit_of(store, acme.id) if entry[1].startswith("team.")] == [
        "team.created", "team.repositories_changed", "team.members_changed", "team.changed",
        "team.members_changed", "team.repositories_changed", "team.repositories_changed", "team.deleted",
    ]  # fmt: skip


def test_a_repository_moves_from_team_to_team(app: Flask, store: Store, owner: Person, alice_key: str) -> None:
    Caller(app, alice_key).post("/integrations/run", RUN | {"repo": "acme/web"})
    repository = rows_of(store, t.repositories)[0].id
    for name in ("One", "Two"):
        owner.send("teams", name=name)
        team = rows_of(store, t.teams)[-1].id
        owner.send(f"teams/{team}/repositories", repository=repository)
        assert rows_of(store, t.repositories)[0].team_id == team
    assert "acme/web Two" in text_of(owner.client.get("/app/acme/settings/teams/1"))  # offered, with who has it


def test_a_key_of_a_deleted_team_works_on(app: Flask, store: Store, acme: Organization, owner: Person) -> None:
    owner.send("teams", name="Payments")
    team = rows_of(store, t.teams)[0].id
    with store.read() as tx:
        found = member_of(tx, rows_of(store, t.users)[0].id, "acme")
    assert found is not None
    caller = Caller(app, create_key(store, found[1], WantedKey("CI", shared=True, team_id=team)))
    assert team_of_run(store, caller) == team
    owner.send(f"teams/{team}/delete")
    assert team_of_run(store, caller) is None


WRONG_VALUES = (
    ({"name": ""}, "a name has"),
    ({"name": "x" * 81}, "a name has"),
    ({"name": "🙂"}, "at least one letter"),
    ({"name": "a\0b"}, "a name has"),
    ({"name": "None"}, "cannot be called none"),
    ({"name": "PAYMENTS"}, "There is a team named like"),
    ({"name": "New", "hourly_cost": "a lot"}, "amount in dollars"),
    ({"name": "New", "hourly_cost": "-5"}, "amount in dollars"),
    ({"name": "New", "hourly_cost": "1.234"}, "whole cents"),
    ({"name": "New", "hourly_cost": "9999999"}, "less than a million"),
)


def test_wrong_values(store: Store, owner: Person) -> None:
    owner.send("teams", name="Payments")
    for values, said in WRONG_VALUES:
        assert said in owner.send("teams", **values), values
        assert len(rows_of(store, t.teams)) == 1


def test_a_member_only_looks(store: Store, owner: Person, member: Person) -> None:
    owner.send("teams", name="Payments")
    team = rows_of(store, t.teams)[0].id
    for page in (member.get("teams"), member.get(f"teams/{team}")):
        assert 'method="post"' not in page.partition("<main")[2]
    for path in ("teams", f"teams/{team}", f"teams/{team}/members", f"teams/{team}/delete"):
        assert member.post(path, name="Mine").status_code == 403


def test_teams_of_another_organization(app: Flask, store: Store, owner: Person, charlie_key: str) -> None:
    owner.send("teams", name="Payments")
    team = rows_of(store, t.teams)[0].id
    charlie = signed_in(app, store, "charlie@example.com", "initech")
    charlie.get(f"teams/{team}", 404)
    for path in (f"teams/{team}", f"teams/{team}/members", f"teams/{team}/repositories", f"teams/{team}/delete"):
        response = charlie.post(path, name="Mine", member="1")
        assert "No such team" in text_of(charlie.client.get(response.location, follow_redirects=True)) or (
            charlie.client.get(response.location).status_code == 404  # back to the team's own page
        )
    # Nor can Acme's people be put into a team of Initech.
    charlie.send("teams", name="Own")
    alice = next(row.id for row in rows_of(store, t.members))
    charlie.send(f"teams/{rows_of(store, t.teams)[-1].id}/members", member=alice)
    assert rows_of(store, t.team_members) == []
    assert rows_of(store, t.teams)[0].name == "Payments"
