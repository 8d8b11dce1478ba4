"""Whether the sums that screens read equal the runs they sum."""

from __future__ import annotations

from datetime import UTC, datetime

from costlens.store.engine import Store
from costlens.store.organizations import list_organizations
from costlens.store.rollups import drift


def verify(store: Store) -> dict[str, dict[str, int]]:
    """Differences of each organization's rollups from its runs, by slug; all zero when right."""
    with store.read() as tx:
        return {
            organization.slug: drift(
                tx, organization.id, datetime(2015, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
            )
            for organization in list_organizations(tx)
        }
