"""The filter bar as a page shows it: the controls, a chip for each filter in force, and what clears them.

It is a GET form, so that it works without JavaScript; templates/_filters.html draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from flask import Response, render_template, request

from costlens.web.formats import date_range
from costlens.web.ui.filters import NONE, Chosen, F, period_name, query_of
from costlens.web.ui.nav import Nav, page_url

_SPAN = ("period", "from", "to")
_LABELS = {
    "team": "Team",
    "repository": "Repository",
    "provider": "Provider",
    "model": "Model",
    "environment": "Environment",
    "tool": "Tool",
    "prompt": "promptId",
    "result": "Result",
    "state": "Link",
    "reason": "Reason",
    "outcome": "Outcome",
    "ai": "AI",
    "price": "Price",
    "session": "Session",
    "pull": "Pull request",
}  # what narrows the rows; all others say how they are shown
_SELECTS = {
    "team": "All teams",
    "repository": "All repositories",
    "provider": "All providers",
    "model": "All models",
    "environment": "All environments",
    "outcome": "All outcomes",
    "ai": "With linked runs",
}
_WORDS = {
    "outcome": [
        ("merged", "Merged"),
        ("open", "Open"),
        ("abandoned", "Closed unmerged"),
        ("reverted", "Reverted"),
        ("closed", "Merged or closed"),
    ],
    "ai": [("linked", "AI: linked"), ("declared", "AI: declared only"), ("none_seen", "AI: none seen")],
}  # values that are the same for everybody
# Drawn behind "More filters", where the page gives their options.
_MORE = {"tool": "All tools", "result": "Any result", "price": "Any price", "state": "Any link"}
_NONE = {"team": "No team", "repository": "No repository"}


@dataclass(frozen=True, slots=True)
class Applied:
    """One filter in force, with the URL of the same page without it."""

    label: str  # Repository
    value: str  # checkout-api
    without: str


@dataclass(frozen=True, slots=True)
class Control:
    """One drop-down list."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]  # value and text; the first means all
    chosen: str


@dataclass(frozen=True, slots=True)
class Bar:
    """All that the template needs."""

    action: str  # where the form leads
    period: str | None  # the preset in force. None: dates
    start: str  # of the period shown, as a date field takes it
    end: str
    controls: tuple[Control, ...]
    more: tuple[Control, ...]  # behind "More filters"
    search: str | None  # what the field for promptId holds. None: the page has no such field
    hidden: tuple[tuple[str, str], ...]  # filters without a control, which the form carries on
    applied: tuple[Applied, ...]
    here: str  # the same page without what cannot be used
    clear_url: str  # the same page with nothing narrowed
    range: str  # "27 Oct – 23 Nov 2026 · UTC"
    problems: tuple[str, ...]


def bar_of(
    nav: Nav,
    page: str,
    chosen: Chosen[F],
    *,
    options: Mapping[str, Sequence[str | tuple[str, str]]] | None = None,
    names: Mapping[str, str] | None = None,
    shown: str | None = None,
) -> Bar:
    """The bar of a page at this path.

    `options` are the names to choose from where the frame does not know them (model, environment), or pairs of value
    and label, `names` the texts
    of chips by filter where the value says too little, `shown` what stands instead of the period's dates.
    """
    filters, span = chosen.filters, chosen.window
    query = query_of(filters)
    known = {each.name for each in fields(filters)}
    lists: dict[str, Sequence[tuple[str, str]]] = {
        "team": [(str(id), name) for id, name in nav.teams],
        "repository": [(str(id), name) for id, name in nav.repositories],
        "provider": [(name, name) for name in nav.providers],
    }
    lists |= _WORDS
    lists |= {
        name: [(value, value) if isinstance(value, str) else value for value in values]
        for name, values in (options or {}).items()
    }
    more = [_control(name, lists[name], query.get(name, "")) for name in _MORE if name in known and name in lists]
    controls = [_control(name, lists.get(name, ()), query.get(name, "")) for name in _SELECTS if name in known]
    if "compare" in known:
        before = f"vs previous {period_name(filters, span)}"
        both = (("previous", before), ("none", "No comparison"))
        controls.insert(0, Control("compare", "Comparison", both, query.get("compare", "previous")))
    drawn = {*_SPAN, "prompt", *(control.name for control in (*controls, *more))}
    texts = {each.name: dict(each.options).get(each.chosen, "") for each in (*controls, *more)} | dict(names or {})
    return Bar(
        action=page_url(nav, page),
        period=None if filters.start or filters.end else filters.period,
        start=span.start.isoformat(),
        end=span.end.isoformat(),
        controls=tuple(controls),
        more=tuple(more),
        search=query.get("prompt", "") if "prompt" in known else None,
        hidden=tuple((name, value) for name, value in query.items() if name not in drawn and name != "cursor"),
        applied=tuple(
            Applied(label, texts.get(name) or query[name].replace("_", " "), page_url(nav, page, _without(query, name)))
            for name, label in _LABELS.items()
            if name in query
        ),
        here=page_url(nav, page, query),
        clear_url=page_url(
            nav, page, {name: value for name, value in query.items() if name not in (*_LABELS, "cursor")}
        ),
        range=shown or f"{date_range(span.start, span.end)} · {span.timezone}",
        problems=chosen.problems,
    )


def instead(nav: Nav, page: str, title: str, chosen: Chosen[F], bar: Bar) -> Response | None:
    """What answers this request before any figure is read. None: nothing, the page itself does.

    A query that cannot be used gets the bar and what is wrong with it, since figures under another filter than the one
    asked for would mislead. One that says more than it must is sent to the shortest.
    """
    if chosen.problems:
        text = render_template("filters/problem.html", nav=nav, page=page, title=title, bar=bar)
        return Response(text, 400, mimetype="text/html")
    query = query_of(chosen.filters)
    asked = request.args.to_dict()
    form = asked.pop("format", None)
    if query == asked:
        return None
    return Response(status=302, headers={"Location": page_url(nav, page, query | {"format": form})})


def _control(name: str, values: Sequence[tuple[str, str]], chosen: str) -> Control:
    options = [("", _SELECTS.get(name) or _MORE[name]), *values]
    if name in _NONE and values:
        options.append((NONE, _NONE[name]))
    if chosen not in dict(options):
        # Another organization's id and one that is gone look the same.
        options.append(
            (chosen, f"not known: {chosen}" if name in _NONE and chosen != NONE else _NONE.get(name, chosen))
        )
    return Control(name, _LABELS[name], tuple(options), chosen)


def _without(query: Mapping[str, str], *names: str) -> dict[str, str]:
    return {each: value for each, value in query.items() if each not in (*names, "cursor")}
