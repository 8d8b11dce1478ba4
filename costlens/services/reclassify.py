"""Runs marked as not code (production traffic that nobody declared), or as code again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from costlens.domain.errors import InvalidInput, NotFound
from costlens.services.selected_runs import selected
from costlens.store import links as link_store
from costlens.store.engine import Store, Tx
from costlens.store.link_marks import mark_mates
from costlens.store.organizations import add_audit, get_organization
from costlens.store.run_changes import Moved, Selection, count_selected
from costlens.store.runs import get_runs

CLOSED = "not_code"  # why links of a run ended that is not code


@dataclass(frozen=True, slots=True)
class Reclassified:
    runs: int  # that changed
    repositories: frozenset[int]  # whose runs now wait for the linker; 0: of no repository


def reclassify(
    store: Store,
    organization_id: int,
    where: Selection,
    *,
    code: bool,
    by: str = "console",
    now: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Reclassified:
    """Marks the selected runs, moves every sum by the difference and closes the links of what is not code.

    A selection of no prompt, environment or key is refused. Runs that are marked already stay as they are.
    Raises InvalidInput.
    """
    if where.prompt_id is None and where.environment is None and where.api_key_id is None:
        raise InvalidInput("Say which runs: a prompt, an environment or a key")
    at = now or datetime.now(UTC)
    others = replace(where, code=not code)
    with store.read() as tx:
        expected = count_selected(tx, organization_id, others)
    changed, repositories = 0, set[int]()
    for page in selected(store, organization_id, others):
        ids = [row["id"] for row in page]
        done = store.transact(lambda tx: _mark(tx, organization_id, ids, code, at))  # noqa: B023
        changed += len(done)
        repositories |= {row["repository_id"] or 0 for row in done}
        if progress:
            progress(changed, max(expected, changed))
    if changed:
        with store.write() as tx:
            asked = {"prompt": where.prompt_id, "environment": where.environment, "key": where.api_key_id}
            details = {"code": code, "runs": changed} | {name: value for name, value in asked.items() if value}
            add_audit(tx, organization_id, at=at, actor=by, action="runs.reclassified", subject="runs", details=details)
    return Reclassified(changed, frozenset(repositories) if code else frozenset())


def reclassify_run(
    store: Store, organization_id: int, run_id: int, *, code: bool, by: str, now: datetime | None = None
) -> Reclassified:
    """Marks one run; one that is marked so already stays as it is. Raises NotFound."""
    at = now or datetime.now(UTC)

    def work(tx: Tx) -> list[dict[str, Any]]:
        if run_id not in get_runs(tx, organization_id, [run_id]):
            raise NotFound("No such run")
        changed = _mark(tx, organization_id, [run_id], code, at)
        if changed:
            add_audit(
                tx,
                organization_id,
                at=at,
                actor=by,
                action="runs.reclassified",
                subject=f"run {run_id}",
                details={"code": code, "runs": 1},
            )
        return changed

    changed = store.transact(work)
    return Reclassified(len(changed), frozenset(run["repository_id"] or 0 for run in changed))


def _mark(tx: Tx, organization_id: int, ids: Sequence[int], code: bool, at: datetime) -> list[dict[str, Any]]:
    organization = get_organization(tx, organization_id)
    if organization is None:
        raise NotFound("The organization is gone")
    runs = [run for run in get_runs(tx, organization_id, ids, lock=True).values() if run["code"] is not code]
    links = link_store.current_links(tx, organization_id, ids)
    moved = Moved(tx, organization_id, organization.timezone)
    values = {
        "code": code,
        "link_state": "pending" if code else "not_code",
        "unlinked_reason": None,
        "counted_nanos": 0,
        "linked_at": None if code else at,  # not code: nothing to link
    }
    for run in runs:
        moved.move(run, values, links.get(run["id"], ()), ())
    if not code:
        mark_mates(tx, organization_id, [run["id"] for run in runs])  # they lose what it told the linker
    link_store.close_links(
        tx, organization_id, [link["id"] for run in runs for link in links.get(run["id"], ())], at, CLOSED
    )
    moved.write()
    return runs
