"""The demo organization's frame: itself, its teams, people, repositories and keys, before any run comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.demo import Demo
from costlens.domain.names import identities_of, slug
from costlens.services.keys import new_key
from costlens.services.organizations import create_organization
from costlens.store import organizations as org_store
from costlens.store.engine import Store
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


def prepare(store: Store, made: Demo, *, owner: str, plan: str, now: datetime | None = None) -> Loaded:
    """Makes the demo organization anew; an earlier demo is removed, other organizations are left alone."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        for organization in org_store.list_organizations(tx):
            if organization.demo:
                org_store.delete_organization(tx, organization.id)
        taken = org_store.slug_taken(tx, slug(made.organization))
    created = create_organization(
        store,
        f"{made.organization} demo" if taken else made.organization,
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


def unlinked_runs(store: Store, organization_id: int) -> int:
    """Runs that the linker has not seen, or that it must see again because facts changed."""
    with store.read() as tx:
        return count_unseen(tx, organization_id)
