"""The overview against plain sums of the same runs, where clocks change and where offsets are not whole hours."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from costlens.domain.errors import InvalidInput
from costlens.domain.periods import day_start
from costlens.domain.roi import Window
from costlens.domain.runs import RunInput
from costlens.services.analytics import overview, spans
from costlens.store import tables as t
from costlens.store.analytics import Where
from tests.services.ledger import NOW, a_run, check_sums, open_ledger, tokens

# Zone, and a day about which the window lies; in most of them the clocks change that day.
ZONES = (
    ("UTC", date(2026, 3, 10)),
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2025, 10, 26)),
    ("America/St_Johns", date(2026, 3, 8)),
    ("America/St_Johns", date(2025, 11, 2)),
    ("Pacific/Chatham", date(2026, 4, 5)),
    ("Pacific/Chatham", date(2025, 9, 28)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # by half an hour
    ("America/Havana", date(2026, 3, 8)),  # at midnight: the day has no 00:30
    ("America/Havana", date(2025, 11, 2)),  # midnight comes twice
    ("Africa/Cairo", date(2025, 10, 31)),  # the evening before comes twice
    ("Asia/Kolkata", date(2026, 3, 10)),
    ("Asia/Kathmandu", date(2026, 3, 10)),
)


def some_runs(zone: str, middle: date, seed: int = 5) -> list[RunInput]:
    """Runs of nine days, many of them on the edges of local days and of the hours in which clocks change."""
    rng = random.Random(seed)
    first = day_start(middle - timedelta(days=4), zone)
    times = [first + timedelta(minutes=rng.randrange(9 * 24 * 60), seconds=rng.randrange(60)) for _ in range(120)]
    for n in range(-4, 6):
        midnight = day_start(middle + timedelta(days=n), zone)
        times += [midnight - timedelta(milliseconds=1), midnight, midnight + timedelta(minutes=14, seconds=59)]
        times += [midnight + timedelta(minutes=15 * quarter) for quarter in (1, 3, 7, 11, 95)]
    return [
        a_run(
            occurred_at=at,
            usage=tokens(rng.randrange(3000), rng.randrange(200)),
            provider=rng.choice(("openai", "azure")),
            model=rng.choice(("gpt-4o", "gpt-4o-mini", "no-such-model-9")),
            success=rng.random() < 0.9,
            latency_ms=rng.choice((None, 5, 900, 31_000)),
            repository=rng.choice((None, "acme/web")),
            prompt_id=rng.choice((None, "review-v2")),
        )
        for at in times
    ]


@pytest.mark.parametrize(("zone", "middle"), ZONES)
def test_days_are_cut_at_local_midnight(zone: str, middle: date, engine: str) -> None:
    window = Window(middle - timedelta(days=3), middle + timedelta(days=3), zone)
    with open_ledger(zone, engine=engine) as ledger:
        ledger.send(*some_runs(zone, middle))
        rows = ledger.rows(t.runs)
        told = overview(ledger.store, ledger.organization, window)
        elsewhere = overview(ledger.store, ledger.organization, Window(window.start, window.end, "Asia/Tokyo"))
        repository = ledger.repository("acme/web")
        narrow = overview(ledger.store, ledger.organization, window, Where(repository_id=repository, provider="openai"))
        nameless = overview(ledger.store, ledger.organization, window, Where(repository_id=0))
        named = overview(ledger.store, ledger.organization, window, Where(prompt_id="review-v2", model="gpt-4o"))
        of_model = overview(ledger.store, ledger.organization, window, Where(model="gpt-4o"))
        team = overview(ledger.store, ledger.organization, window, Where(team_id=0))
        check_sums(ledger)

    def expected(of_zone: str, **where: object) -> dict[date, list[int]]:
        sums: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0])
        for row in rows:
            day = row["occurred_at"].astimezone(ZoneInfo(of_zone)).date()
            if window.start <= day <= window.end and all(row[name] == value for name, value in where.items()):
                used = sum(row[name] for name in t.USAGE_COLUMNS)
                values = (1, row["success"], row["cost_nanos"] is not None, row["cost_nanos"] or 0, used)
                for place, value in enumerate((*values, row["latency_ms"] or 0)):
                    sums[day][place] += value
        return sums

    for found, of_zone, where in (
        (told, zone, {}),
        (elsewhere, "Asia/Tokyo", {}),
        (narrow, zone, {"repository_id": repository, "provider": "openai"}),
        (nameless, zone, {"repository_id": None}),
        (named, zone, {"prompt_id": "review-v2", "model": "gpt-4o"}),
        (of_model, zone, {"model": "gpt-4o"}),
        (team, zone, {}),
    ):
        wanted = expected(of_zone, **where)
        assert wanted
        assert sum(sums.runs for sums in found.models.values()) == found.total.runs
        assert sum(sums.cost_nanos for sums in found.providers.values()) == found.total.cost_nanos
        assert len(found.days) == window.days
        for day, totals in found.days.items():
            got = [totals.runs, totals.succeeded, totals.priced_runs, totals.cost_nanos, totals.tokens]
            assert [*got, totals.latency_ms] == wanted.get(day, [0] * 6), (day, of_zone, where)
        for groups in (found.days, found.models, found.providers):
            assert sum(totals.cost_nanos for totals in groups.values()) == found.total.cost_nanos
            assert sum(totals.runs for totals in groups.values()) == found.total.runs


@pytest.mark.parametrize(("zone", "middle"), ZONES)
def test_spans_meet_without_gap_and_each_has_one_offset(zone: str, middle: date) -> None:
    window = Window(middle - timedelta(days=200), middle + timedelta(days=200), zone)
    found = spans(window)
    assert found[0][0] == day_start(window.start, zone)
    assert found[-1][1] == day_start(window.end + timedelta(days=1), zone)
    assert all(one[1] == following[0] for one, following in pairwise(found))
    for start, end, offset in found:
        at = start
        while at < end:
            assert at.astimezone(ZoneInfo(zone)).utcoffset() == offset
            at += timedelta(minutes=15)


def test_a_run_at_midnight_belongs_to_the_new_day(engine: str) -> None:
    midnight = datetime(2026, 3, 9, 18, 15, tzinfo=UTC)  # 00:00 of the 10th in Kathmandu
    window = Window(date(2026, 3, 9), date(2026, 3, 10), "Asia/Kathmandu")
    with open_ledger("Asia/Kathmandu", engine=engine) as ledger:
        ledger.send(a_run(occurred_at=midnight), a_run(occurred_at=midnight - timedelta(milliseconds=1)))
        for where in (Where(), Where(team_id=0)):
            days = overview(ledger.store, ledger.organization, window, where).days
            assert [totals.runs for totals in days.values()] == [1, 1]


def test_a_narrow_view_in_a_foreign_zone_is_refused(engine: str) -> None:
    with open_ledger("Europe/Berlin", engine=engine) as ledger:
        window = Window(date(2026, 3, 1), date(2026, 3, 7), "UTC")
        with pytest.raises(InvalidInput) as refused:
            overview(ledger.store, ledger.organization, window, Where(team_id=0))
        assert refused.value.field == "timezone"


def test_an_empty_period_has_its_days(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        found = overview(ledger.store, ledger.organization, Window(date(2026, 3, 1), date(2026, 3, 7), "UTC"))
        assert (found.total.runs, len(found.days), found.data_through, found.linked) == (0, 7, None, None)
        ledger.send(a_run(occurred_at=NOW))
        found = overview(ledger.store, ledger.organization, Window(date(2026, 3, 1), date(2026, 3, 7), "UTC"))
        assert (found.total.runs, found.data_through) == (0, NOW)
