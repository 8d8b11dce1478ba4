"""A RoiReport by hand: 8 repositories in 28 days, made-up money that adds up to the last nano-dollar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from costlens.domain.roi import DaySpend, Figures, RoiReport, RoiRow, Spend, Window

CENT = 10**7
HOURLY_CENTS = 9_500
END = date(2026, 11, 23)

# name, team, cost, counted, previous cost, merged, abandoned, reverted, direct, median, p90, cycle, cycle before
# (money in cents, times in hours)
REPOSITORIES = (
    ("web-storefront", "Storefront", 114_484, 99_298, 119_063, 97, 12, 1, 830, 502, 1_811, 22.1, 21.6),
    ("checkout-api", "Payments", 105_625, 88_126, 98_231, 84, 9, 1, 865, 588, 1_930, 19.4, 21.1),
    ("search-ranking", "Discovery", 61_625, 51_765, 69_020, 29, 7, 0, 1_439, 1_104, 3_120, 40.3, 38.8),
    ("data-pipelines", "Platform", 55_053, 48_281, 33_582, 17, 5, 0, 2_179, None, None, 44.0, 39.7),
    ("ledger-core", "Payments", 48_845, 42_593, 42_984, 38, 4, 1, 927, 668, 2_045, 31.6, 34.9),
    ("mobile-app", "Storefront", 22_897, 19_669, 20_607, 41, 6, 1, 428, 291, 960, 28.7, 30.2),
    ("infra", "Platform", 11_564, 10_234, 9_482, 26, 2, 0, 337, 225, 742, 9.8, 10.4),
    ("design-system", "Storefront", 5_867, 5_222, 7_040, 12, 1, 0, 393, None, None, 16.5, 16.9),
)
TEAMS = {"Storefront": 1, "Payments": 2, "Discovery": 3, "Platform": 4}
TOTAL = Spend(
    counted=365_188 * CENT,
    merged=277_933 * CENT,
    open=46_249 * CENT,
    abandoned=33_806 * CENT,
    reverted=7_200 * CENT,
    suggested=25_619 * CENT,
    pending=15_819 * CENT,
    unlinked=66_652 * CENT,
    not_code=82_553 * CENT,
    runs=21_480,
)
PREVIOUS = Spend(counted=340_112 * CENT, merged=340_112 * CENT, unlinked=112_087 * CENT, not_code=71_846 * CENT)
NO_REPOSITORY = 47_318 * CENT
NO_REPOSITORY_BEFORE = 52_190 * CENT
REASONS = {"no_repo": NO_REPOSITORY, "no_person": 6_120 * CENT, "no_candidate": 10_194 * CENT, "rejected": 3_020 * CENT}


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of `total` in proportion to `weights`; they add up to it exactly."""
    parts, given, weight = [], 0, 0
    for each in weights:
        weight += each
        part = total * weight // sum(weights) - given
        parts.append(part)
        given += part
    return parts


def figures(spend: Spend, merged: int = 0, abandoned: int = 0, **known: object) -> Figures:
    """Figures with the arithmetic of cost per merged pull request and break-even done."""
    full = spend.code // merged if merged else None
    values: dict[str, object] = {
        "reverted": 0,
        "shared": 0,
        "linked_cost": 0,
        "direct_per_merged": None,
        "median": None,
        "p90": None,
        "cycle_hours": None,
        "merge_yield": merged / (merged + abandoned) if merged + abandoned else None,
        "full_per_merged": full,
        "break_even_minutes": full / (HOURLY_CENTS * CENT) * 60 if full is not None else None,
        "required_hours": spend.code / (HOURLY_CENTS * CENT),
    }
    return Figures(spend=spend, merged=merged, abandoned=abandoned, **(values | known))  # type: ignore[arg-type]


def trend(cost: int, seed: int) -> tuple[int, ...]:
    """28 days of `cost`, low at the weekend, with a ripple of its own."""
    days = [END - timedelta(days=27 - at) for at in range(28)]
    return tuple(
        split(cost, [(3 if each.weekday() > 4 else 14) + (at * seed * 7 + seed) % 9 for at, each in enumerate(days)])
    )


def repository_rows() -> list[RoiRow]:
    """The eight repositories, dearest first, and the row of runs that name none."""
    outside = [cost - counted for _, _, cost, counted, *_ in REPOSITORIES]
    suggested = split(TOTAL.suggested, outside)
    pending = split(TOTAL.pending, outside)
    not_code = split(TOTAL.not_code, [5, 9, 3, 1, 2, 2, 0, 0])
    shares = {
        name: split(getattr(TOTAL, name), [each[3] for each in REPOSITORIES])
        for name in ("open", "abandoned", "reverted")
    }
    rows = []
    for at, (
        name,
        team,
        cost,
        counted,
        before,
        merged,
        abandoned,
        reverted,
        direct,
        median,
        p90,
        cycle,
        was,
    ) in enumerate(REPOSITORIES):
        outcomes = {key: parts[at] for key, parts in shares.items()}
        spend = Spend(
            counted=counted * CENT,
            merged=counted * CENT - sum(outcomes.values()),
            suggested=suggested[at],
            pending=pending[at],
            unlinked=(cost - counted) * CENT - suggested[at] - pending[at],
            not_code=not_code[at],
            runs=cost // 25,
            **outcomes,
        )
        now = figures(
            spend,
            merged,
            abandoned,
            reverted=reverted,
            linked_cost=direct * merged * CENT,
            direct_per_merged=direct * CENT,
            median=median * CENT if median else None,
            p90=p90 * CENT if p90 else None,
            cycle_hours=cycle,
        )
        earlier = figures(Spend(counted=before * CENT, merged=before * CENT), merged, cycle_hours=was)
        rows.append(RoiRow(at + 1, name, team, now, earlier, trend(cost * CENT, at + 1)))
    none = Spend(unlinked=NO_REPOSITORY, runs=1_902)
    none_before = figures(Spend(unlinked=NO_REPOSITORY_BEFORE))
    return [*rows, RoiRow(None, "No repository", None, figures(none), none_before, trend(NO_REPOSITORY, 11))]


def team_rows() -> list[RoiRow]:
    """The same money by team; two pull requests count in two teams each."""
    repositories = repository_rows()
    rows = []
    for name, id in TEAMS.items():
        own = [row for row in repositories if row.team == name]
        now, before = [row.figures for row in own], [row.previous for row in own]
        merged = sum(each.merged for each in now)
        linked = sum(each.linked_cost for each in now)
        rows.append(
            RoiRow(
                id,
                name,
                None,
                figures(
                    add([each.spend for each in now]),
                    merged,
                    sum(each.abandoned for each in now),
                    shared=2 if name in ("Storefront", "Payments") else 0,
                    linked_cost=linked,
                    direct_per_merged=linked // merged,
                    median=now[0].median,
                    cycle_hours=now[0].cycle_hours,
                ),
                figures(add([each.spend for each in before]), cycle_hours=before[0].cycle_hours),
                tuple(map(sum, zip(*(row.trend for row in own), strict=True))),
            )
        )
    rows.sort(key=lambda row: -row.figures.spend.code)
    return [*rows, replace(repositories[-1], name="No team")]


def add(spends: Sequence[Spend]) -> Spend:
    """The sum, bucket by bucket."""
    names = Spend.__dataclass_fields__
    return Spend(**{name: sum(getattr(each, name) for each in spends) for name in names})


def day_spends(window_days: int = 28) -> tuple[DaySpend, ...]:
    """The total's code spend by day; late days have more open work, as in life."""
    days = [END - timedelta(days=window_days - 1 - at) for at in range(window_days)]
    busy = [2 + at % 2 if each.weekday() > 4 else 14 + at * 5 % 9 for at, each in enumerate(days)]
    busy[-1] = busy[-1] // 2  # today is partial
    late = [weight * (1 + at * at // 40) for at, weight in enumerate(busy)]
    early = [weight * (4 + (window_days - at) // 5) for at, weight in enumerate(busy)]
    columns = zip(
        days,
        split(TOTAL.merged, early),
        split(TOTAL.open, late),
        split(TOTAL.abandoned + TOTAL.reverted, busy),
        split(TOTAL.suggested + TOTAL.pending + TOTAL.unlinked, busy),
        split(PREVIOUS.code, [2 if each.weekday() > 4 else 14 + at * 3 % 8 for at, each in enumerate(days)]),
        strict=True,
    )
    return tuple(DaySpend(*column) for column in columns)


def roi_report(scope: str = "repository", **changed: object) -> RoiReport:
    """The report of one scope; `changed` replaces fields of it."""
    linked = sum(each[5] * each[8] for each in REPOSITORIES) * CENT
    total = figures(
        TOTAL,
        344,
        46,
        reverted=4,
        shared=2 if scope == "team" else 0,
        linked_cost=linked,
        direct_per_merged=linked // 344,
        median=504 * CENT,
        p90=1_966 * CENT,
    )
    report = RoiReport(
        window=Window(END - timedelta(days=27), END, "UTC"),
        comparison=Window(END - timedelta(days=55), END - timedelta(days=28), "UTC"),
        scope=scope,
        organization="Acme",
        hourly_cost_cents=HOURLY_CENTS,
        contributors=18,
        total=total,
        previous=figures(PREVIOUS),
        rows=tuple(repository_rows() if scope == "repository" else team_rows()),
        unlinked_reasons=REASONS,
        days=day_spends(),
        data_through=datetime(2026, 11, 23, 10, 26, 41, tzinfo=UTC),
        priced_share=1.0,
        exact_share=1.0,
    )
    return replace(report, **changed)  # type: ignore[arg-type]
