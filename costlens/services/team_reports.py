"""Reports that are kept with all that they were made of, and rendered from that alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from costlens import __version__
from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.periods import bounds, local_day, previous_window
from costlens.domain.rate_cards import price_data_version
from costlens.domain.roi import Filters, Window
from costlens.domain.team_report import SCHEMA, Inputs, PriceChange, PullLine, Subject
from costlens.services.assumptions import basis_in
from costlens.services.comparing import Comparison, compare_in
from costlens.services.money import own_prices
from costlens.services.report_documents import document
from costlens.services.report_formats import roi_csv
from costlens.services.reports import roi_report_in
from costlens.store import organizations as org_store
from costlens.store import pull_lists, stored_reports
from costlens.store.engine import Store, Tx
from costlens.store.identity import repositories_of
from costlens.store.members import lock_organization
from costlens.store.rulesets import ruleset_of
from costlens.store.stored_reports import Key
from costlens.store.teams import get_team

SCOPES = ("organization", "team", "repository")
COMPARED_DAYS = 364  # of the comparison with other work: a quarter is too short for it
LISTED_PULLS = 20
WENT_WRONG = 3  # abandoned and reverted ones that are told even where they were cheap
Progress = Callable[[str, int, int], None]  # what is done, steps done, steps in all


_HEADS = 200  # of a page of all


@dataclass(frozen=True, slots=True)
class Head:
    """A stored report without its contents."""

    id: int
    kind: str
    subject: Subject
    first: date
    last: date
    version: int
    as_of: datetime
    digest: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored report, rendered from its inputs."""

    head: Head
    inputs: Inputs
    document: dict[str, Any]
    json: bytes
    reproduced: bool  # rendered today it is what it was when it was made

    @property
    def csv(self) -> Iterator[str]:
        """Its table as lines of CSV."""
        return roi_csv(self.inputs.roi)


def find_subject(tx: Tx, organization_id: int, scope: str, id: int) -> Subject:
    """The organization, a team or a repository as the subject of a report. Raises InvalidInput, NotFound."""
    if scope not in SCOPES:
        raise InvalidInput(f"scope must be one of {', '.join(SCOPES)}", field="scope")
    if scope == "team":
        team = get_team(tx, organization_id, id)
        if team is None:
            raise NotFound("No such team")
        return Subject(scope, id, team.name)
    if scope == "repository":
        name = next((one.name for one in repositories_of(tx, organization_id) if one.id == id), None)
        if name is None:
            raise NotFound("No such repository")
        return Subject(scope, id, name)
    organization = org_store.get_organization(tx, organization_id)
    if organization is None:
        raise NotFound("No such organization")
    return Subject(scope, 0, organization.name)


def make(
    store: Store,
    organization_id: int,
    scope: str,
    id: int,
    *,
    kind: str,
    window: Window,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> int:
    """Computes a report, stores it as the next version and answers its id. Raises InvalidInput, NotFound."""
    tell = progress or (lambda what, done, total: None)
    with store.read() as tx:
        subject = find_subject(tx, organization_id, scope, id)
    tell("Figures", 0, 4)
    inputs = gather(store, organization_id, subject, kind=kind, window=window, now=now or datetime.now(UTC), tell=tell)
    tell("Rendering", 3, 4)
    text = msgspec.json.encode(inputs).decode()
    rendered = to_json(document(decode(text)))
    with store.write() as tx:
        lock_organization(tx, organization_id)
        key = Key(kind, scope, subject.id, window.start, window.end)
        digest = hashlib.sha256(rendered).hexdigest()
        report_id, _ = stored_reports.add_report(tx, organization_id, key, inputs.as_of, text, digest)
    tell("Stored", 4, 4)
    return report_id


def gather(
    store: Store,
    organization_id: int,
    subject: Subject,
    *,
    kind: str,
    window: Window,
    now: datetime,
    tell: Progress = lambda what, done, total: None,
) -> Inputs:
    """Everything that a report of a subject and window is made of."""
    filters = filters_of(subject)
    rows = "team" if subject.scope == "repository" else "repository"
    begin, end = bounds(window)
    with store.read() as tx:
        report = roi_report_in(tx, organization_id, rows, window=window, filters=filters)
        tell("Pull requests", 1, 4)
        listed = _dearest(tx, organization_id, window, filters)
        models = stored_reports.models_used(tx, organization_id, window, previous_window(window), filters)
        ruleset = ruleset_of(tx, organization_id).version
        prices = [one for one in own_prices(tx, organization_id) if begin <= one.effective_from < end]
        assumed, basis = basis_in(tx, organization_id, report, filters)
        tell("Comparison", 2, 4)
        compared = _compared(tx, organization_id, kind, window, filters, now)
    return Inputs(
        schema=SCHEMA,
        kind=kind,
        subject=subject,
        as_of=now,
        program=__version__,
        prices=price_data_version(),
        ruleset=ruleset,
        roi=report,
        assumed=assumed,
        basis=basis,
        pulls=tuple(listed),
        models=tuple(models),
        price_changes=tuple(
            PriceChange(one.provider, one.model, local_day(one.effective_from, window.timezone)) for one in prices
        ),
        compared_from=compared.window.start if compared else None,
        compared_pulls=compared.pulls if compared else 0,
        compared_assisted=compared.assisted if compared else 0,
        compared=compared.matched if compared else (),
    )


def _dearest(tx: Tx, organization_id: int, window: Window, filters: Filters) -> list[PullLine]:
    """The dearest pull requests that ended in the window, then the dearest of those that went wrong."""
    found: list[PullLine] = []
    for outcome, most in (("closed", LISTED_PULLS), ("abandoned", WENT_WRONG), ("reverted", WENT_WRONG)):
        _, rows = pull_lists.page_of_pulls(
            tx, organization_id, window, filters, outcome=outcome, sort="cost", limit=LISTED_PULLS + most
        )
        lines = [PullLine(one.repository, one.number, one.title, one.outcome, one.runs, one.cost) for _, one in rows]
        lines.sort(key=lambda one: (-one.cost, one.repository, one.number))
        found += [one for one in lines if one not in found][:most]
    return found


def load(store: Store, organization_id: int, report_id: int) -> Stored:
    """A stored report, rendered anew from its inputs. Raises NotFound."""
    with store.read() as tx:
        row = stored_reports.get_report(tx, organization_id, report_id)
    if row is None:
        raise NotFound("No such report")
    return _stored(row)


def load_previous(store: Store, organization_id: int, report_id: int) -> Stored | None:
    """The report to compare one with: its version before, or the earlier one of its kind. None: it is the first."""
    with store.read() as tx:
        row = stored_reports.get_report(tx, organization_id, report_id)
        earlier = None if row is None else stored_reports.previous_report(tx, organization_id, row)
    return None if earlier is None else _stored(earlier)


def heads(
    store: Store,
    organization_id: int,
    *,
    kind: str | None = None,
    subject: tuple[str, int] | None = None,
    days: tuple[date, date] | None = None,
    before: int | None = None,
    limit: int,
) -> list[Head]:
    """Stored reports, the newest first, from the one after the id `before`; `days`: of exactly these."""
    scope, scope_id = subject or (None, None)
    with store.read() as tx:
        rows = stored_reports.list_reports(
            tx, organization_id, kind=kind, scope=scope, scope_id=scope_id, days=days, before=before, limit=limit
        )
        names = _names(tx, organization_id)
    return [_head(row, names.get((row.scope, row.scope_id), f"Deleted {row.scope}")) for row in rows]


def every_head(store: Store, organization_id: int) -> Iterator[Sequence[Head]]:
    """All stored reports page by page, the newest first."""
    before: int | None = None
    while True:
        found = heads(store, organization_id, before=before, limit=_HEADS)
        yield found
        if len(found) < _HEADS:
            return
        before = found[-1].id


def subject_names(store: Store, organization_id: int) -> dict[tuple[str, int], str]:
    """Everything that a report can be about now: (scope, id) → name."""
    with store.read() as tx:
        return _names(tx, organization_id)


def decode(text: str) -> Inputs:
    """Inputs as they were stored."""
    return msgspec.json.decode(text, type=Inputs)


def to_json(shown: dict[str, Any]) -> bytes:
    """A rendered report as a file."""
    return msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n"


def filters_of(subject: Subject) -> Filters:
    """The filters under which the screens show the same figures."""
    if subject.scope == "team":
        return Filters(team_id=subject.id)
    return Filters(repository_id=subject.id) if subject.scope == "repository" else Filters()


def _compared(
    tx: Tx, organization_id: int, kind: str, window: Window, filters: Filters, now: datetime
) -> Comparison | None:
    """The comparison over the year that ends with the window. None: a nightly report has none."""
    if kind == "day":
        return None
    first = min(window.start, window.end - timedelta(days=COMPARED_DAYS - 1))
    return compare_in(tx, organization_id, replace(window, start=first), filters, now)


def _names(tx: Tx, organization_id: int) -> dict[tuple[str, int], str]:
    organization = org_store.get_organization(tx, organization_id)
    names = {("organization", 0): organization.name if organization else ""}
    names |= {("team", row.id): row.name for row in org_store.list_teams(tx, organization_id)}
    return names | {("repository", row.id): row.name for row in repositories_of(tx, organization_id)}


def _stored(row: Any) -> Stored:
    inputs = decode(row.inputs)
    shown = document(inputs)
    rendered = to_json(shown)
    same = hashlib.sha256(rendered).hexdigest() == row.digest
    return Stored(_head(row, inputs.subject.name), inputs, shown, rendered, same)


def _head(row: Any, name: str) -> Head:
    subject = Subject(row.scope, row.scope_id, name)
    return Head(row.id, row.kind, subject, row.first, row.last, row.version, row.as_of, row.digest)
