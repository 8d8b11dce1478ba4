"""`costlens report team|weekly|compare`: figures, estimate, kept reports and the comparison of a running server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from costlens.commands.report_http import dollars, fetch, table
from costlens.commands.report_seats import seats_note

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
    path = f"/roi/reports/{found[0]['id']}"
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
        *([] if body["worthALook"] else ["Nothing stands out against the week before."]),
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
