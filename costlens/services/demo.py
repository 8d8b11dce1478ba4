"""The demo organization: made anew, filled without a server between, and removed with everything of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec

from costlens.demo import Demo
from costlens.demo.inputs import run_input
from costlens.domain.names import identities_of, slug
from costlens.github.snapshot import read_snapshot
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate, new_key
from costlens.services.organizations import create_organization
from costlens.services.sync import import_records
from costlens.services.usage import input_share
from costlens.store import organizations as org_store
from costlens.store.engine import Store, Tx
from costlens.store.github import save_repository
from costlens.store.identity import person_ids, repository_ids
from costlens.store.link_work import count_unseen
from costlens.store.organizations import Organization


@dataclass(frozen=True, slots=True)
class Loaded:
    organization: Organization
    keys: Mapping[str, str]  # by the name that the demo's batches use
    api_key: str  # the owner's
    sign_in_token: str


def prepare(
    store: Store, made: Demo, *, owner: str, plan: str, others: bool = True, now: datetime | None = None
) -> Loaded:
    """Makes the demo organization anew, without runs; other organizations are left alone.

    An earlier demo is removed: any, or without `others` only those that the owner owns.
    """
    at = now or datetime.now(UTC)
    with store.write() as tx:
        user = org_store.find_user(tx, owner)
        for organization in org_store.list_demos(tx, None if others else user.id if user else 0):
            org_store.delete_organization(tx, organization.id)
        name = _free_name(tx, made.organization)
    created = create_organization(
        store,
        name,
        owner,
        plan=plan,
        hourly_cost_cents=made.hourly_cost_cents,
        timezone=made.timezone,
        demo=True,
        now=at,
    )
    organization = created.organization
    keys: dict[str, str] = {}
    with store.write() as tx:
        for team in made.teams:
            values = {
                "organization_id": organization.id,
                "name": team.name,
                "slug": slug(team.name),
                "created_at": at,
            }
            team_id = org_store.create_team(tx, values)
            keys[team.name] = new_key(tx, organization.id, team.name, now=at, team_id=team_id)
            for repository_id in repository_ids(tx, organization.id, team.repositories, at).values():
                save_repository(tx, organization.id, repository_id, {"team_id": team_id})
            person_ids(tx, organization.id, [identities_of(login=login) for login in team.people], at)
        keys[made.production_key] = new_key(tx, organization.id, made.production_key, now=at, purpose="production")
    return Loaded(organization, keys, created.api_key, created.sign_in_token)


def _free_name(tx: Tx, name: str) -> str:
    tried = itertools.chain((name, f"{name} demo"), (f"{name} demo {number}" for number in itertools.count(2)))
    return next(each for each in tried if not org_store.slug_taken(tx, slug(each)))


def load(
    store: Store,
    made: Demo,
    *,
    owner: str,
    plan: str,
    link: Callable[[int, int], object],
    progress: Callable[[str, int, int], None],
) -> Organization:
    """Makes the owner's demo organization and stores all that is in it.

    `link` is one linking pass over a repository of an organization (0: runs that name none), `progress` is told what
    comes in now, how many of how many. What is cut off is made anew by the next call.
    """
    progress("Organization", 0, 1)
    loaded = prepare(store, made, owner=owner, plan=plan, others=False)
    organization = loaded.organization
    lines = (msgspec.json.encode(line) for line in made.snapshot)
    total, done = len(made.snapshot), 0

    def stored(count: int) -> None:
        nonlocal done
        done += count
        progress("GitHub's facts", done, total)

    imported = import_records(store, organization.id, read_snapshot(lines), progress=stored)
    total, done = sum(len(bodies) for _, bodies in made.batches), 0
    for name, bodies in made.batches:
        key = authenticate(store, loaded.keys[name], "ingest")
        ingest(store, key, [run_input(body, partial(input_share, store, organization.id)) for body in bodies])
        done += len(bodies)
        progress("Runs", done, total)
    repositories = (0, *sorted(imported.repositories))
    for place, repository_id in enumerate(repositories):
        progress("Links, by repository", place, len(repositories))
        link(organization.id, repository_id)
    return organization


def remove(store: Store, organization_id: int) -> bool:
    """Removes a demo organization with everything of it. False: there is no demo organization of this id."""
    with store.write() as tx:
        organization = org_store.get_organization(tx, organization_id)
        if organization is None or not organization.demo:
            return False
        org_store.delete_organization(tx, organization_id)
    return True


def unlinked_runs(store: Store, organization_id: int) -> int:
    """Runs that the linker has not seen, or that it must see again because facts changed."""
    with store.read() as tx:
        return count_unseen(tx, organization_id)
