"""`costlens report team|weekly|make|compare`: figures, estimate, kept reports, comparison of a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from costlens.commands.report_http import dollars, fetch, send, table
from costlens.commands.report_seats import seats_note

_BEFORE = {"week": "week", "month": "month", "day": "period", "asked": "period"}
_PERIODS = click.Choice(["7d", "28d", "91d", "12m"])
_format = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)


@click.command()
@click.argument("name")
@click.option("--period", type=_PERIODS, default="28d", show_default=True)
@_format
def team(name: str, period: str, form: str) -> None:
    """What AI cost the team NAME, what it shipped, and the estimate of a return if it has assumptions."""
    query = {"period": period, "team": name}
    if form == "csv":
        click.echo(fetch("/roi/repositories", query | {"format": "csv"}).text, nl=False)
        return
    figures, estimate = fetch("/roi/repositories", query).json(), fetch("/roi/estimate", query).json()
    if form == "json":
        click.echo(json.dumps({"figures": figures, "estimate": estimate}, indent=2, ensure_ascii=False))
        return
    head = f"{name}, {figures['startDate']} to {figures['endDate']} ({figures['timezone']})"
    click.echo("\n".join([head, "", figures_table(figures), "", *estimate_lines(estimate)]))


@click.command()
@click.option("--team", "name", help="Of this team; without one, of the organization.")
@_format
def weekly(name: str | None, form: str) -> None:
    """The newest weekly report that the server keeps, as it was made."""
    of = {"scope": "organization"} if name is None else {"team": name}
    found = fetch("/roi/reports", {"kind": "week", "limit": "1", **of}).json()["reports"]
    if not found:
        raise click.ClickException("There is no weekly report yet: the first is made in the night after a week is over")
    _print(found[0]["id"], form)


@click.command()
@click.option("--team", "name", help="Of this team.")
@click.option("--repo", metavar="OWNER/NAME", help="Of this repository; without either, of the organization.")
@click.option("--period", type=_PERIODS, help="Days that end today; 28d unless dates are given.")
@click.option("--from", "start", metavar="YYYY-MM-DD", help="The first day.")
@click.option("--to", "end", metavar="YYYY-MM-DD", help="The last day; today unless given.")
@click.option("--again", is_flag=True, help="The next version, also where there is a report of these days.")
@click.option("--seconds", type=click.IntRange(min=0), default=300, show_default=True, help="How long to wait for it.")
@_format
def make(
    name: str | None,
    repo: str | None,
    period: str | None,
    start: str | None,
    end: str | None,
    again: bool,
    seconds: int,
    form: str,
) -> None:
    """Have a worker make a report that is kept, wait for it and print it."""
    body = {"team": name, "repo": repo, "period": period, "startDate": start, "endDate": end, "again": again}
    asked = send("/roi/reports", body).json()
    found, until = asked["report"], time.monotonic() + seconds
    while found is None:
        there = fetch(asked["url"], {}).json()["reports"]
        found = next((one for one in there if one["version"] >= asked["version"]), None)
        if found is None and time.monotonic() >= until:
            raise click.ClickException(f"It is not made yet. It will be listed at {asked['url']}")
        if found is None:
            time.sleep(1)
    _print(found["id"], form)


def _print(report_id: int, form: str) -> None:
    """A kept report, with the findings and the estimate in words where it is a table."""
    path = f"/roi/reports/{report_id}"
    if form != "table":
        click.echo(fetch(path, {"format": form}).text, nl=False)
        return
    body = fetch(path, {}).json()
    figures = body["figures"]
    lines = [
        f"{body['name']}, {figures['startDate']} to {figures['endDate']}, as of {body['asOf']}",
        "",
        figures_table(figures),
        "",
        "Worth a look",
        *(f"{place}. {one['text']} {one['fix']}".rstrip() for place, one in enumerate(body["worthALook"], 1)),
        *([] if body["worthALook"] else [f"Nothing stands out against the {_BEFORE[body['kind']]} before."]),
        "",
        *estimate_lines(body["estimate"]),
    ]
    click.echo("\n".join(lines))


@click.command()
@click.option("--period", type=_PERIODS, default="12m", show_default=True)
@click.option("--team", "name", help="Only repositories of this team.")
@click.option("--repo", metavar="OWNER/NAME", help="Only this repository.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def compare(period: str, name: str | None, repo: str | None, form: str) -> None:
    """AI-assisted against other pull requests, matched on author, size, quarter and repository."""
    body = fetch("/roi/comparison", {"period": period, "team": name, "repo": repo}).json()
    if form == "json":
        click.echo(json.dumps(body, indent=2, ensure_ascii=False))
        return
    lines = [
        f"{body['startDate']} to {body['endDate']}: {body['assisted']} of {body['pullRequests']} PRs AI-assisted",
        "",
        *(_effect_line(one) for one in body["metrics"]),
        "",
        "Compared within the same author, size, quarter and repository. An association is not an effect.",
    ]
    click.echo("\n".join(lines))


def figures_table(figures: Mapping[str, Any]) -> str:
    """The figures of the period beside those of the one before."""
    now, before = figures["total"], figures["previous"]
    rows: list[Sequence[str]] = [
        (label, *(dollars(each[key]) for each in (now, before)))
        for label, key in (
            ("AI cost", "totalCost"),
            ("Code spend", "cost"),
            ("Direct per merged PR", "directCostPerMerged"),
            ("Full per merged PR", "fullCostPerMerged"),
        )
    ]
    rows.insert(2, ("Linked", *(_share(each["linkedShare"]) for each in (now, before))))
    rows.insert(3, ("Merged PRs", *(f"{each['mergedPullRequests']:,}" for each in (now, before))))
    if "seats" in figures:
        rows.insert(5, ("Seats", *(dollars(each["seats"]) for each in (now, before))))
    rows.append(("Merge yield", *(_share(each["mergeYield"]) for each in (now, before))))
    note = seats_note(figures)
    return table(("Figure", "Now", "Before"), rows) + (f"\n\n{note}" if note else "")


def estimate_lines(estimate: Mapping[str, Any]) -> list[str]:
    """The estimate as a range with its assumptions, or why there is none."""
    refused, result = estimate["refused"], estimate["result"]
    if refused:
        return [f"No estimate of a return: {refused['reason']} {refused['fix']}"]
    drawn, multiple, given = result["simulated"]["roiPercent"], result["returnMultiple"], estimate["assumptions"]
    hours, share = given["hoursSavedPerMerged"], given["recapture"]
    chance = _share(result["simulated"]["probabilityPositive"])
    worth = (
        f"Estimated ROI {drawn['p10']:+.0f} % to {drawn['p90']:+.0f} % (p10 to p90), {multiple['low']:.1f}× to "
        f"{multiple['high']:.1f}× of the spend, above 0 in {chance} of the draws."
    )
    assumed = (
        f"Assumed: ${estimate['assumptions']['hourlyCost']:,.2f} an hour, {hours['low']:g} / {hours['mid']:g} / "
        f"{hours['high']:g} hours saved per merged PR, {share['low']:g} / {share['mid']:g} / {share['high']:g} of them "
        "recaptured."
    )
    return [worth, assumed]


def _effect_line(one: Mapping[str, Any]) -> str:
    """The sentence of a metric, with the share of the AI-assisted PRs that it speaks of."""
    return str(one["sentence"]) if one["estimate"] is None else f"{one['sentence']} Covered: {_share(one['covered'])}."


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
