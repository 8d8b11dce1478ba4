"""`costlens report`: figures of a running server, as a table, JSON or CSV. Needs only the base install."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from costlens.commands import report_kept
from costlens.commands.report_http import dollars, fetch, table
from costlens.commands.report_seats import seats_note

PATHS = {"repository": "repositories", "team": "teams", "pull-request": "pull-requests"}


@click.group()
def report() -> None:
    """Print a report of a running server.

    COSTLENS_URL (default http://127.0.0.1:8787) and COSTLENS_API_KEY say which and whose.
    """


for _kept in (report_kept.team, report_kept.weekly, report_kept.make, report_kept.compare):
    report.add_command(_kept)


@report.command()
@click.option("--by", type=click.Choice(list(PATHS)), default="repository", show_default=True)
@click.option("--period", type=click.Choice(["7d", "28d", "91d", "12m"]), default="28d", show_default=True)
@click.option("--team", help="Only this team's runs (or none).")
@click.option("--repo", metavar="OWNER/NAME", help="Only this repository's runs (or none).")
@click.option("--provider", help="Only this provider's runs.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def roi(by: str, period: str, team: str | None, repo: str | None, provider: str | None, form: str) -> None:
    """What AI cost and what it shipped."""
    query = {"period": period, "team": team, "repo": repo, "provider": provider}
    path = f"/roi/{PATHS[by]}"
    if form == "csv":
        click.echo(fetch(path, query | {"format": "csv"}).text, nl=False)
        return
    body = fetch(path, query).json()
    if form == "json":
        click.echo(json.dumps(body, indent=2, ensure_ascii=False))
        return
    click.echo(pull_table(body) if by == "pull-request" else roi_table(body, by))


def roi_table(body: Mapping[str, Any], by: str) -> str:
    """The table of repositories or teams with the rows that make its total."""
    head = (
        by.capitalize(),
        "AI cost",
        "Linked",
        "Merged/aband.",
        "Direct/PR",
        "Median",
        "Full/PR",
        "Cycle",
        "Break-even",
    )
    rows = [_roi_row(row["name"], row) for row in body["repositories" if by == "repository" else "teams"]]
    total = body["total"]
    rows.append(_roi_row("Code", total))
    rows.append(("Not code (production)", dollars(total["notCodeCost"]), *[""] * 7))
    rows.append(("Total", dollars(total["totalCost"]), *[""] * 7))
    title = f"{body['organization']}, {body['startDate']} to {body['endDate']} ({body['timezone']})"
    notes = [seats_note(body), _break_even_note(body)]
    if total["unpricedRuns"]:
        notes.append(f"{total['unpricedRuns']:,} runs have no price: their cost is unknown and not included.")
    return "\n".join([title, "", table(head, rows), "", *notes])


def _break_even_note(body: Mapping[str, Any]) -> str:
    minutes, hourly = body["total"]["breakEvenMinutes"], body["hourlyCost"]
    if hourly is None:
        command = f"costlens organization set '{body['organization']}' --hourly-cost 95"
        return f"For the break-even set an hourly cost: {command}"
    if minutes is None:
        return "No break-even: nothing was merged in this period."
    return f"AI pays for itself if it saves {minutes:.1f} minutes per merged pull request, at ${hourly:,.2f} an hour."


def _roi_row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    none = "–"
    return (
        name,
        dollars(row["cost"]),
        none if row["linkedShare"] is None else f"{100 * row['linkedShare']:.1f} %",
        f"{row['mergedPullRequests']}/{row['abandonedPullRequests']}",
        dollars(row["directCostPerMerged"]),
        dollars(row["medianCostPerMerged"]),
        dollars(row["fullCostPerMerged"]),
        none if row["cycleHours"] is None else f"{row['cycleHours']:.1f} h",
        none if row["breakEvenMinutes"] is None else f"{row['breakEvenMinutes']:.1f} min",
    )


def pull_table(body: Mapping[str, Any]) -> str:
    """The table of pull requests, in the order of the answer."""
    head = ("Pull request", "Cost", "Runs", "Outcome", "Cycle", "Title")
    rows = [
        (
            f"{row['repo']}#{row['number']}",
            dollars(row["cost"]),
            f"{row['runs']:,}",
            row["outcome"],
            "–" if row["cycleHours"] is None else f"{row['cycleHours']:.1f} h",
            row["title"][:60],
        )
        for row in body["pullRequests"]
    ]
    more = (
        ["", "There are more: narrow the period, or page through GET /roi/pull-requests."] if body["nextCursor"] else []
    )
    return "\n".join([table(head, rows, left=(0, 3, 5)), *more])
