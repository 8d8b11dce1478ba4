"""What people say of runs and pull requests: it outranks every rule, survives every relinking, and can be undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.names import repository_name
from costlens.services.linking import decide_links
from costlens.services.reclassify import reclassify_run
from costlens.store.engine import Store, Tx
from costlens.store.github import find_pull
from costlens.store.identity import find_repositories
from costlens.store.organizations import Organization, add_audit
from costlens.store.pulls import mark_pull
from costlens.store.runs import RunFilter, list_runs

MOST_PARTS = 20  # pull requests that share one run

AskLinking = Callable[[int, int], object]  # (organization, repository): a pass is due
LinkAction = Literal["confirm", "reject", "move", "split", "undo"]


def decide(
    store: Store,
    organization: Organization,
    run_id: int,
    *,
    action: LinkAction,
    by: str,
    repository: str | None = None,
    numbers: Sequence[int] = (),
    from_number: int | None = None,
) -> None:
    """Confirms or rejects a run's link to a pull request, moves it to another, splits the run equally over several,
    or takes back all that was decided of the run. The ledger is right when this returns.

    The repository is the run's own; a run that names none needs it given. Raises NotFound, InvalidInput.
    """
    run = _find(store, organization.id, run_id)
    if action == "undo":
        decide_links(store, organization.id, run_id, decisions={}, by=by, anew=True)
        return
    if not run.code:
        raise InvalidInput("The run is not code, and such runs are not linked: mark it as code first", field="action")
    _check(action, numbers, from_number)
    name = repository_name(repository) if repository else run.repository
    if name is None:
        raise InvalidInput("The run names no repository: give `repo`", field="repo")
    if run.repository and name.lower() != run.repository.lower():
        raise InvalidInput(f"The run belongs to {run.repository}", field="repo")
    asked = dict.fromkeys(numbers, action != "reject")
    if action == "move" and from_number is not None:
        asked[from_number] = False
    with store.read() as tx:
        repository_id = find_repositories(tx, organization.id, [name]).get(name.lower(), 0)
        found = {number: find_pull(tx, organization.id, repository_id, number) for number in asked}
    decisions: dict[int, bool] = {}
    for number, pull_request_id in found.items():
        if pull_request_id is None:
            raise NotFound(f"{name} has no pull request {number}", field="prNumber")
        decisions[pull_request_id] = asked[number]
    decide_links(
        store,
        organization.id,
        run_id,
        repository_id=repository_id,
        decisions=decisions,
        by=by,
        anew=action == "split",
    )


def _check(action: str, numbers: Sequence[int], from_number: int | None) -> None:
    if action == "split":
        if not 2 <= len(set(numbers)) <= MOST_PARTS:
            raise InvalidInput(
                f"A split needs 2 to {MOST_PARTS} different pull requests in prNumbers", field="prNumbers"
            )
        return
    if len(numbers) != 1:
        raise InvalidInput("Which pull request? Give prNumber", field="prNumber")
    if action == "move" and from_number is None:
        raise InvalidInput("A move needs fromPrNumber", field="fromPrNumber")
    if action == "move" and from_number == numbers[0]:
        raise InvalidInput("fromPrNumber must be another pull request than prNumber", field="fromPrNumber")


def set_code(
    store: Store, organization: Organization, run_id: int, *, code: bool, by: str, ask_linking: AskLinking
) -> None:
    """Marks a run as not code (production traffic that nobody declared), or as code again.

    What its session loses or gains by it is linked by a worker. Raises NotFound.
    """
    for repository_id in reclassify_run(store, organization.id, run_id, code=code, by=by).repositories:
        ask_linking(organization.id, repository_id)


def mark(
    store: Store,
    organization_id: int,
    pull_request_id: int,
    *,
    said: Literal["ai", "manual"] | None,
    by: str,
    now: datetime | None = None,
) -> None:
    """Says that a pull request was made with AI, or by hand, whatever its signs; None: the signs count again.

    No money moves by it, and no sync takes it back. Raises NotFound.
    """

    def work(tx: Tx) -> None:
        before = mark_pull(tx, organization_id, pull_request_id, said)
        if before != said:
            add_audit(
                tx,
                organization_id,
                at=now or datetime.now(UTC),
                actor=by,
                action="pull_request.marked",
                subject=f"pull request {pull_request_id}",
                details={"as": said, "before": before},
            )

    store.transact(work)


def _find(store: Store, organization_id: int, run_id: int) -> Any:
    with store.read() as tx:
        rows = list_runs(tx, organization_id, RunFilter(run_id=run_id), limit=1)
    if not rows:
        raise NotFound("No such run")
    return rows[0]
