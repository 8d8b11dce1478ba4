"""Jobs that load and remove the demo organization for somebody who waits on a page."""

from __future__ import annotations

from datetime import UTC, datetime

from costlens.config import load_settings
from costlens.demo import generate
from costlens.services import demo, organizations
from workers.context import opened
from workers.linking import link_now
from workers.progress import teller


def load(owner_id: int, days: int) -> str:
    """Loads the demo organization of a user, in place of an earlier one of theirs; answers its slug."""
    now = datetime.now(UTC)
    made = generate(now.date(), days=days, now=now)
    with opened() as (store, queue):
        owner = organizations.account(store, owner_id)
        organization = demo.load(
            store,
            made,
            owner=owner.email,
            plan=load_settings().default_plan,
            link=lambda organization_id, repository_id: link_now(store, queue, organization_id, repository_id),
            progress=teller(),
        )
    return organization.slug


def remove(organization_id: int) -> bool:
    """Removes a demo organization with everything of it."""
    with opened() as (store, _):
        return demo.remove(store, organization_id)
