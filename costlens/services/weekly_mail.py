"""The weekly report by e-mail: to the members who asked for it, once each, with a link that stops it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from itsdangerous import BadSignature, URLSafeSerializer

from costlens.config import Settings
from costlens.deliveries.email import Mail, send_one_by_one
from costlens.domain.access import Member
from costlens.domain.errors import NotFound
from costlens.domain.roi import RoiReport
from costlens.domain.seats import NOT_SET
from costlens.domain.shown import moment
from costlens.domain.team_report import worth_a_look
from costlens.domain.written import date_range
from costlens.services.acting import as_now, note
from costlens.services.report_lines import estimate_words, figure_lines, seats_words
from costlens.services.report_rounds import windows
from costlens.services.team_reports import Stored, load
from costlens.store import organizations as org_store
from costlens.store import stored_reports
from costlens.store.engine import Store, Tx
from costlens.store.members import get_member
from costlens.store.organizations import Organization
from costlens.store.teams import get_team

TRIES = 5  # then a mail server has said often enough that it does not want this one

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whose report an unsubscribe link is about."""

    organization: str
    team: str
    email: str
    active: bool


def set_subscription(store: Store, by: Member, team_id: int, wanted: bool, *, now: datetime | None = None) -> str:
    """Has a team's weekly report sent to the member, or stops that; answers the team's name. Raises NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = as_now(tx, by)
        team = get_team(tx, by.organization_id, team_id)
        if team is None:
            raise NotFound("No such team")
        if wanted:
            stored_reports.subscribe(tx, by.organization_id, team_id, by.member_id, at)
        else:
            stored_reports.unsubscribe(tx, by.organization_id, team_id, by.member_id)
        note(tx, who, at, "weekly_report.subscribed" if wanted else "weekly_report.unsubscribed", team.name)
    return str(team.name)


def readers(store: Store, organization_id: int) -> dict[int, list[tuple[int, str]]]:
    """(member, e-mail address) of who gets each team's report, by team."""
    found: dict[int, list[tuple[int, str]]] = {}
    with store.read() as tx:
        for team_id, member_id, email in stored_reports.subscribers(tx, organization_id):
            found.setdefault(team_id, []).append((member_id, email))
    return found


def send_due(store: Store, settings: Settings, *, now: datetime | None = None) -> int:
    """Sends the reports of the last week to who did not get them yet; answers how many went out."""
    at = now or datetime.now(UTC)
    if settings.mail is None:
        return 0
    with store.read() as tx:
        every = org_store.list_organizations(tx)
    return sum(_send_of(store, settings, organization, at) for organization in every)


def _send_of(store: Store, settings: Settings, organization: Organization, at: datetime) -> int:
    window = windows(organization.timezone, at)["week"]
    with store.read() as tx:
        wanted = stored_reports.subscribers(tx, organization.id)
        if not wanted:
            return 0
        latest = stored_reports.latest_of(tx, organization.id, "week", "team", window.start, window.end)
        known = {report_id: stored_reports.mails_of(tx, organization.id, report_id) for report_id in latest.values()}
    sent = 0
    for team_id, report_id in latest.items():
        to = [
            (member_id, email, tries)
            for team, member_id, email in wanted
            if team == team_id and (tries := _tries(known[report_id].get(member_id))) is not None
        ]
        if to:
            sent += _send(store, settings, organization, team_id, report_id, to, at)
    return sent


def _tries(row: Any | None) -> int | None:
    """How often an e-mail was tried. None: it went out, or was tried often enough."""
    if row is None:
        return 0
    return None if row.sent_at is not None or row.tries >= TRIES else int(row.tries)


def _send(
    store: Store,
    settings: Settings,
    organization: Organization,
    team_id: int,
    report_id: int,
    to: list[tuple[int, str, int]],
    at: datetime,
) -> int:
    assert settings.mail is not None, "checked by the caller"
    found = load(store, organization.id, report_id)
    urls = {member: unsubscribe_url(settings, organization.id, team_id, member) for member, _, _ in to}
    mails = [
        Mail(email, subject_of(found), text_of(found, settings, organization.slug, urls[member]), urls[member])
        for member, email, _ in to
    ]
    sent = 0
    for (member_id, _, tries), error in zip(to, send_one_by_one(settings.mail, mails), strict=True):
        # Each as it went: who has it does not get it again when this process is killed.
        with store.write() as tx:
            stored_reports.note_mail(tx, organization.id, report_id, member_id, tries=tries + 1, at=at, error=error)
        if error:
            _log.warning("weekly report %d of %s: %s", report_id, organization.slug, error)
        sent += error is None
    return sent


def subject_of(found: Stored) -> str:
    """What an inbox shows: the team, the days and the two figures that matter most."""
    cost, _, _, merged, *_ = figure_lines(found.inputs.roi)
    days = date_range(found.head.first, found.head.last)
    name = " ".join(found.inputs.subject.name.split())
    return f"{name}, {days}: {cost.now} AI cost, {merged.now} merged PRs"


def text_of(found: Stored, settings: Settings, slug: str, stop: str) -> str:
    """The e-mail: the figures of the page, what is worth a look with its rows, and how to stop it."""
    inputs, base = found.inputs, f"{settings.base_url}/app/{slug}"
    lines = figure_lines(inputs.roi)
    wide, number = max(len(line.label) for line in lines), max(len(line.now) for line in lines)
    figures = [
        f"{line.label:<{wide}}  {line.now:>{number}}   was {line.before}{f' ({line.change})' if line.change else ''}"
        for line in lines
    ]
    looks = []
    for place, finding in enumerate(worth_a_look(inputs), 1):
        looks.append(f"{place}. {finding.text}{f' {finding.fix}' if finding.fix else ''}")
        looks.append(f"   {base}/{finding.page}?{_query(finding.query)}")
    parts = [
        f"{inputs.subject.name}: what AI cost and what it shipped, {date_range(found.head.first, found.head.last)}",
        "\n".join(figures),
        *_seats_of(inputs.roi, base),
        "Worth a look\n" + ("\n".join(looks) if looks else "Nothing stands out against the week before."),
        estimate_words(inputs),
        f"The whole report: {base}/reports/{found.head.id}",
        "\n".join(
            (
                f"As of {moment(inputs.as_of)}; it stays as it is. Days of {inputs.roi.window.timezone}.",
                f"You get this because you asked for it. Stop it: {stop}",
            )
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _seats_of(report: RoiReport, base: str) -> list[str]:
    """What seats have to do with the full cost, and where they are set if they are not."""
    words = seats_words(report)
    if report.seats_of == NOT_SET:
        words += f" Owners and admins set them: {base}/settings/assumptions"
    return [words] if words else []


def unsubscribe_url(settings: Settings, organization_id: int, team_id: int, member_id: int) -> str:
    """The link in an e-mail that stops it; it needs no sign-in."""
    return f"{settings.base_url}/unsubscribe/{_signer(settings).dumps([organization_id, team_id, member_id])}"


def find_subscription(store: Store, settings: Settings, token: str) -> Subscription | None:
    """What an unsubscribe link is about. None: not a link of ours, or its team or member is gone."""
    ids = _read(settings, token)
    if ids is None:
        return None
    with store.read() as tx:
        return _find(tx, *ids)


def stop(store: Store, settings: Settings, token: str, *, now: datetime | None = None) -> Subscription | None:
    """Stops what an unsubscribe link is about; a second time changes nothing. None: as `find_subscription`."""
    ids = _read(settings, token)
    if ids is None:
        return None
    with store.write() as tx:
        found = _find(tx, *ids)
        if found is not None and stored_reports.unsubscribe(tx, *ids):
            org_store.add_audit(
                tx,
                ids[0],
                at=now or datetime.now(UTC),
                actor=found.email,
                action="weekly_report.unsubscribed",
                subject=found.team,
                details={"by": "link"},
            )
    return found


def _find(tx: Tx, organization_id: int, team_id: int, member_id: int) -> Subscription | None:
    organization = org_store.get_organization(tx, organization_id)
    if organization is None:
        return None
    team, member = get_team(tx, organization.id, team_id), get_member(tx, organization.id, member_id)
    if team is None or member is None:
        return None
    return Subscription(
        organization.name,
        team.name,
        member.email,
        stored_reports.is_subscribed(tx, organization_id, team_id, member_id),
    )


def _signer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.secret_key, salt="weekly-report")


def _read(settings: Settings, token: str) -> tuple[int, int, int] | None:
    """(organization, team, member) of a link. None: it is not ours."""
    try:
        organization_id, team_id, member_id = _signer(settings).loads(token)
    except BadSignature:
        return None
    return int(organization_id), int(team_id), int(member_id)


def _query(query: Mapping[str, object]) -> str:
    return urlencode({key: value for key, value in query.items() if value not in (None, "")})
