"""Jobs that write comments on pull requests: a few each, and what is left waits for the next sweep."""

from __future__ import annotations

from costlens.config import load_settings
from costlens.services import comments
from costlens.services.github_access import github_of
from workers.context import opened
from workers.sync import only_one


def sweep() -> int:
    """Asks for a job for each organization that writes comments or deletes them; answers how many."""
    with opened() as (store, queue):
        organizations = comments.at_work(store)
        for organization_id in organizations:
            queue.run_soon("workers.comments.write", organization_id)
    return len(organizations)


def write(organization_id: int) -> int:
    """Brings the comments of an organization up to date; answers how many were tried."""
    settings = load_settings()
    with opened() as (store, _), only_one(f"costlens:comments:{organization_id}") as mine:
        return comments.work(store, github_of(settings), settings.base_url, organization_id) if mine else 0
