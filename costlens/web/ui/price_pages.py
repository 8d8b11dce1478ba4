"""An organization's own prices and aliases: what each would change is shown before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from costlens.domain.errors import CostLensError, InvalidInput, TooLarge
from costlens.domain.periods import FIRST_DAY, LAST_DAY, MAX_DAYS, bounded_day, day_start, last_days, local_day
from costlens.domain.pricing import Override, RateCard, find_card
from costlens.services import prices
from costlens.services.models import models
from costlens.services.repricing import Repriced
from costlens.services.run_rows import OLDEST
from costlens.services.selected_runs import count
from costlens.store.run_changes import Selection
from costlens.web.access import current_member, needs, page_organization
from costlens.web.api.prices import reprice_some
from costlens.web.context import context
from costlens.web.model_answers import PER_TOKEN
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.nav import page_url

PAGE = "models/prices"
_LONGEST = 300
# Form field, usage column, label; the first and the last are needed.
RATES = (
    ("input", "input_uncached", "Input"),
    ("cache_read", "cache_read", "Cache read"),
    ("cache_write_5m", "cache_write_5m", "Cache write, 5 minutes"),
    ("cache_write_1h", "cache_write_1h", "Cache write, 1 hour"),
    ("reasoning", "output_reasoning", "Output, reasoning"),
    ("output", "output_text", "Output"),
)
_NEEDED = ("input", "output")
FIELDS = ("provider", "model", "kind", "alias", "since", *(name for name, _, _ in RATES))


@dataclass(frozen=True, slots=True)
class Preview:
    """What one change would do to the runs that are stored."""

    runs: int  # that are looked at
    found: Repriced | None  # None: too many to look at within a request
    runs_url: str | None  # all that are looked at. None: no page lists just these


def blueprint() -> Blueprint:
    """The pages; who may only look is told so on the first."""
    routes = Blueprint("price_pages", __name__, url_prefix="/app/<slug>/models/prices")
    routes.before_request(signed_in)
    routes.get("")(prices_page)
    routes.get("/preview")(preview_price)
    routes.post("")(set_price)
    routes.get("/<int:price_id>/remove")(preview_removal)
    routes.post("/<int:price_id>/remove")(remove_price)
    routes.get("/reprice")(preview_repricing)
    routes.post("/reprice")(reprice_runs)
    return routes


@needs("see_reports")
def prices_page(slug: str) -> str:
    """Own prices, what has none, and the forms."""
    return _prices_page(_asked(request.args))


def _prices_page(form: Mapping[str, str], error: InvalidInput | None = None) -> str:
    organization, now = page_organization(), datetime.now(UTC)
    store = context().store
    own = prices.list_prices(store, organization.id)
    window = last_days(91, organization.timezone, local_day(now, organization.timezone))
    unpriced = [one for one in models(store, organization, window).models if one.unpriced_runs]
    card: RateCard | None = None
    if form["provider"] and form["model"]:
        overrides = [one.override for one in own]
        card = find_card(form["provider"].lower(), form["model"], now, overrides=overrides)
    return render_template(
        "prices/list.html",
        nav=frame(organization.slug).nav,
        page="models",
        own=own,
        unpriced=unpriced,
        form=form,
        error=error,
        card=card,
        rates=RATES,
        needed=_NEEDED,
        oldest=OLDEST,
        picos_shown=picos_shown,
        keeper=current_member().may("manage_prices"),
        organization=organization,
        now=now,
    )


@needs("manage_prices")
def preview_price(slug: str) -> str | tuple[str, int]:
    """What a new price would change, before it is set."""
    form = _asked(request.args)
    try:
        override = _override(form)
        tried = prices.try_price(context().store, page_organization().id, override)
    except InvalidInput as error:
        return _prices_page(form, error), 400
    where = _selection(override)
    return _preview_page("set", f"Set the price of {override.model}", _look(where, tried), override=override, form=form)


@needs("manage_prices")
def set_price(slug: str) -> Response | tuple[str, int]:
    """Sets a price; with `backfill` the stored runs are priced by it too."""
    form = _asked(request.form)
    try:
        override = _override(form)
        prices.set_price(
            context().store,
            page_organization().id,
            override.provider,
            override.model,
            effective_from=override.effective_from,
            alias_of=override.alias_of,
            picos=override.picos,
            by=current_member().email,
        )
    except InvalidInput as error:
        return _prices_page(form, error), 400
    return _done(f"The price of {override.model} is set", _selection(override))


@needs("manage_prices")
def preview_removal(slug: str, price_id: int) -> str:
    """What the runs would cost without one of the own prices. Raises NotFound."""
    found, others = prices.try_without(context().store, page_organization().id, price_id)
    title = f"Remove the price of {found.override.model}"
    preview = _look(_selection(found.override), others)
    return _preview_page("remove", title, preview, override=found.override, price_id=price_id)


@needs("manage_prices")
def remove_price(slug: str, price_id: int) -> Response:
    """Removes a price; with `backfill` the stored runs are priced without it too. Raises NotFound."""
    organization_id = page_organization().id
    found, _ = prices.try_without(context().store, organization_id, price_id)
    prices.remove_price(context().store, organization_id, price_id, by=current_member().email)
    return _done(f"The price of {found.override.model} is removed", _selection(found.override))


@needs("manage_prices")
def preview_repricing(slug: str) -> str | tuple[str, int]:
    """What the prices of now would change in stored runs."""
    try:
        where = _dated(request.args)
    except InvalidInput as error:
        return _prices_page(_asked({}), error), 400
    form = {name: request.args.get(name, "") for name in ("provider", "model", "from", "to")}
    return _preview_page("reprice", "Price runs anew", _look(where, None), form=form)


@needs("manage_prices")
def reprice_runs(slug: str) -> Response | tuple[str, int]:
    """Prices stored runs by the prices of now."""
    try:
        where = _dated(request.form)
    except InvalidInput as error:
        return _prices_page(_asked({}), error), 400
    return _done("", where, backfill=True)


def picos_shown(picos: int) -> str:
    """A rate in dollars for a million tokens, as short as it can be: 2.5."""
    return f"{(Decimal(picos) / PER_TOKEN).normalize():f}"


def _look(where: Selection, tried: Sequence[Override] | None) -> Preview:
    organization, runs_url = page_organization(), _runs_url(where)
    try:
        found = reprice_some(organization.id, where, apply=False, by="", prices=tried)
    except TooLarge:
        return Preview(count(context().store, organization.id, where), None, runs_url)
    assert isinstance(found, Repriced)  # a dry run is never left to a job
    return Preview(found.runs, found, runs_url)


def _runs_url(where: Selection) -> str | None:
    """The list of just these runs. None: it has none, as its period is whole days and not longer than MAX_DAYS."""
    organization = page_organization()
    zone = organization.timezone
    first = local_day(where.since, zone) if where.since else None
    last = local_day(where.until or datetime.now(UTC), zone) - timedelta(days=1 if where.until else 0)
    if first is None or day_start(first, zone) != where.since or not 0 <= (last - first).days < MAX_DAYS:
        return None
    query = {"provider": where.provider, "model": where.model, "from": first, "to": last if where.until else None}
    return page_url(frame(organization.slug).nav, "runs", query)


def _preview_page(action: str, title: str, preview: Preview, **values: Any) -> str:
    values = {"override": None, "form": {}, "price_id": None} | values
    return render_template(
        "prices/preview.html",
        nav=frame(page_organization().slug).nav,
        page="models",
        action=action,
        title=title,
        preview=preview,
        rates=RATES,
        oldest=OLDEST,
        picos_shown=picos_shown,
        **values,
    )


def _done(text: str, where: Selection, *, backfill: bool | None = None) -> Response:
    """Prices the runs where that is asked for, and goes to the page of prices, which says what came of it."""
    wanted = request.form.get("backfill") == "yes" if backfill is None else backfill
    kind, parts = "done", [text] if text else []
    if wanted:
        try:
            found = reprice_some(page_organization().id, where, apply=True, by=current_member().email)
        except CostLensError as error:
            kind, told = "error", error.message
        else:
            if isinstance(found, int):
                told = f"{found:,} runs are being priced anew; it goes on without you"
            else:
                told = f"{found.total.runs:,} of {found.runs:,} runs cost something else now"
        parts.append(told)
    elif text:
        parts.append("runs that are stored keep their cost")
    flash(": ".join(parts), kind)
    return redirect(page_url(frame(page_organization().slug).nav, PAGE), 303)


def _asked(given: Mapping[str, str]) -> dict[str, str]:
    form = {name: given.get(name, "").strip() for name in FIELDS}
    form["kind"] = "alias" if form["kind"] == "alias" else "rates"
    return form


def _override(form: Mapping[str, str]) -> Override:
    """The price that a form describes. Raises InvalidInput that names the field of the form."""
    provider, model = _name(form, "provider").lower(), _name(form, "model")
    since = OLDEST
    if form["since"]:
        since = max(OLDEST, day_start(_day(form["since"], "since"), page_organization().timezone))
    if form["kind"] == "alias":
        return Override(provider, model, since, _name(form, "alias"))
    picos = {column: _picos(form[name], name, label) for name, column, label in RATES if form[name] or name in _NEEDED}
    return Override(provider, model, since, picos=picos)


def _name(form: Mapping[str, str], field: str) -> str:
    text = form[field]
    if not text or len(text) > _LONGEST or "\0" in text:
        words = {"alias": "The other model", "provider": "The provider", "model": "The model"}
        raise InvalidInput(f"{words[field]} needs a name of 1 to {_LONGEST} characters", field=field)
    return text


def _picos(text: str, field: str, label: str) -> int:
    try:
        picos = Decimal(text.removeprefix("$").replace(",", "")) * PER_TOKEN
    except ArithmeticError:  # no number, or one that no Decimal holds
        picos = Decimal(-1)
    if not picos.is_finite() or not 0 <= picos <= 10**12 or picos != picos.to_integral_value():
        raise InvalidInput(
            f"{label}: give dollars for a million tokens, from 0 to 1,000,000 with at most six decimals", field=field
        )
    return int(picos)


def _day(text: str, field: str) -> date:
    try:
        return bounded_day(text, field)
    except InvalidInput as error:
        raise InvalidInput(f"Give a date such as 2026-01-31, from {FIRST_DAY} to {LAST_DAY}", field=field) from error


def _selection(override: Override) -> Selection:
    since = override.effective_from if override.effective_from > OLDEST else None
    return Selection(provider=override.provider, model=override.model, since=since)


def _dated(given: Mapping[str, str]) -> Selection:
    """The runs that a form names; nothing: all. Raises InvalidInput."""
    zone = page_organization().timezone
    text = {name: given.get(name, "").strip() for name in ("provider", "model", "from", "to")}
    for name in ("provider", "model"):
        if text[name]:
            _name(text, name)
    return Selection(
        since=day_start(_day(text["from"], "from"), zone) if text["from"] else None,
        until=day_start(_day(text["to"], "to") + timedelta(days=1), zone) if text["to"] else None,
        provider=text["provider"].lower() or None,
        model=text["model"] or None,
    )
