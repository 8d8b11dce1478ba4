"""Models with their prices, an organization's own prices, repricing, and the list prices in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import msgspec
from flask import Blueprint, Response

from costlens.domain.errors import InvalidInput, TooLarge, Unavailable
from costlens.domain.periods import bounded_day, day_start, last_days, local_day
from costlens.domain.price_list import price_list
from costlens.domain.rate_cards import OVERRIDE_RATES, Override, price_data_version
from costlens.domain.shown import NANOS, moment
from costlens.services import prices as price_service
from costlens.services.models import models
from costlens.services.prices import OwnPrice
from costlens.services.repricing import Difference, Repriced, reprice
from costlens.services.selected_runs import count
from costlens.store.organizations import KeyRow
from costlens.store.run_changes import Selection
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode_stored
from costlens.web.api.exports import export_form
from costlens.web.api.insights import Name
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.model_answers import models_answer, models_file, rates_of
from costlens.web.payload import json_body
from costlens.web.shapes import prices as shape
from costlens.web.shapes.base import Done

AT_ONCE = 20_000  # runs repriced within one request; more are for a job
LOOKED_AT = 200_000  # runs of a dry run within one request
_PER_TOKEN = 1_000_000  # picos a token for a dollar a million


def blueprint() -> Blueprint:
    """The routes of prices."""
    routes = Blueprint("prices", __name__)
    routes.get("/models")(list_models)
    routes.get("/models/prices")(list_own_prices)
    routes.put("/models/prices")(set_price)
    routes.delete("/models/prices/<int:price_id>")(remove_price)
    routes.post("/models/reprice")(reprice_runs)
    routes.get("/pricing/scrape")(get_list_prices)
    return routes


def list_models() -> Response:
    """Models of the last days' runs with the price that holds now; `priced=false` lists those without one."""
    organization = require_key("read").organization
    dated = any(params.text(name) for name in ("startDate", "endDate", "days", "period"))
    today = local_day(datetime.now(UTC), organization.timezone)
    window = params.period(organization) if dated else last_days(90, organization.timezone, today)
    wanted = params.choice("priced", ("true", "false"))
    report = models(context().store, organization, window, params.usage_where(organization))
    priced = None if wanted is None else wanted == "true"
    if form := export_form():
        return models_file(form, organization, report, priced=priced)
    return json_answer(models_answer(report, priced=priced))


def list_own_prices() -> Response:
    """The organization's own prices and aliases by the date from which they hold."""
    key = require_key("read")
    found = price_service.list_prices(context().store, key.organization.id)
    return json_answer(shape.OwnPrices(prices=[own_price(one) for one in found]))


def own_price(one: OwnPrice) -> shape.OwnPriceShape:
    """An own price as answers show it, in dollars a million tokens."""
    picos = one.override.picos
    rates = None
    if picos is not None:
        full = {
            column: next((picos[name] for name in names if name in picos), 0)
            for column, names in OVERRIDE_RATES.items()
        }
        values = [full[column] / _PER_TOKEN for column in OVERRIDE_RATES]
        rates = shape.Rates(
            input_uncached=values[0],
            cache_read=values[1],
            cache_write_5m=values[2],
            cache_write_1h=values[3],
            output_text=values[4],
            output_reasoning=values[5],
            per_run=0.0,
        )
    return shape.OwnPriceShape(
        id=one.id,
        provider=one.override.provider,
        model=one.override.model,
        effective_from=moment(one.override.effective_from),
        alias_of=one.override.alias_of,
        rates=rates,
        created_at=moment(one.created_at),
    )


PerMillion = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class RatesBody(msgspec.Struct, rename="camel"):
    """US dollars for a million tokens; a class left out is billed as the class it is part of."""

    input_uncached: PerMillion
    output_text: PerMillion
    cache_read: PerMillion | None = None
    cache_write_5m: PerMillion | None = msgspec.field(default=None, name="cacheWrite5m")
    cache_write_1h: PerMillion | None = msgspec.field(default=None, name="cacheWrite1h")
    output_reasoning: PerMillion | None = None


class PriceBody(msgspec.Struct, rename="camel"):
    """A price (`rates`) or an alias (`aliasOf`) of a model, from a moment on; without one, for all runs."""

    provider: Name
    model: Name
    rates: RatesBody | None = None
    alias_of: Name | None = None
    effective_from: datetime | None = None
    backfill: bool = False


def set_price() -> Response:
    """Sets a price; with `backfill`, stored runs of the model are priced anew too."""
    key = require_key("admin")
    given = decode_stored(json_body(), PriceBody)
    if (given.rates is None) == (given.alias_of is None):
        raise InvalidInput("Give either `rates` or `aliasOf`", field="rates")
    provider, model = given.provider.strip().lower(), given.model.strip()
    if not provider or not model:
        raise InvalidInput("provider and model must not be empty", field="model" if provider else "provider")
    since = _moment(given.effective_from)
    found = price_service.set_price(
        context().store,
        key.organization.id,
        provider,
        model,
        effective_from=since,
        alias_of=given.alias_of,
        picos=_picos(given.rates) if given.rates else None,
        by=_by(key),
    )
    where = Selection(provider=provider, model=model, since=since)
    repriced = _reprice(key, where, apply=True) if given.backfill else None
    return json_answer(shape.PriceSet(success=True, price=own_price(found), repriced=repriced))


def _moment(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    try:
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput("effectiveFrom is out of range", field="effectiveFrom") from error


def _picos(rates: RatesBody) -> dict[str, int]:
    given = {
        "input_uncached": rates.input_uncached,
        "cache_read": rates.cache_read,
        "cache_write_5m": rates.cache_write_5m,
        "cache_write_1h": rates.cache_write_1h,
        "output_text": rates.output_text,
        "output_reasoning": rates.output_reasoning,
    }
    # repr is the shortest text of a float, so 0.1 stays 0.1.
    return {
        name: int((Decimal(repr(float(value))) * _PER_TOKEN).to_integral_value())
        for name, value in given.items()
        if value is not None
    }


def remove_price(price_id: int) -> Response:
    """Removes one of the organization's own prices; stored runs keep their cost until they are repriced."""
    key = require_key("admin")
    price_service.remove_price(context().store, key.organization.id, min(price_id, (1 << 63) - 1), by=_by(key))
    return json_answer(Done(success=True))


class RepriceBody(msgspec.Struct, rename="camel"):
    """Which runs are priced anew by the prices of now; a dry run unless `apply`."""

    provider: Name | None = None
    model: Name | None = None
    start_date: str | None = None
    end_date: str | None = None
    apply: bool = False


def reprice_runs() -> Response:
    """Says what the prices of now would change, or with `apply` changes it. Reported costs stay."""
    key = require_key("read")
    asked = decode_stored(json_body(), RepriceBody)
    if asked.apply:
        require_key("admin")
    zone = key.organization.timezone
    where = Selection(
        since=day_start(bounded_day(asked.start_date, "startDate"), zone) if asked.start_date else None,
        until=_after(asked.end_date, zone) if asked.end_date else None,
        provider=asked.provider.strip().lower() if asked.provider else None,
        model=asked.model,
    )
    found = _reprice(key, where, apply=asked.apply)
    return json_answer(found, 202 if found.queued else 200)


def _after(text: str, zone: str) -> datetime:
    """Where the day after begins, as the end of a period is included."""
    return day_start(bounded_day(text, "endDate") + timedelta(days=1), zone)


def reprice_some(
    organization_id: int, where: Selection, *, apply: bool, by: str, prices: Sequence[Override] | None = None
) -> Repriced | int:
    """What changes, or what was changed; a number: so many runs are left to a job, as they are too many for a request.

    Raises TooLarge for a dry run of too many, Unavailable when the queue is away.
    """
    runs = count(context().store, organization_id, where)
    if not apply and runs > LOOKED_AT:
        raise TooLarge(
            f"A dry run looks at most at {LOOKED_AT:,} runs, these are {runs:,}: narrow it by model or dates, or use "
            "`costlens reprice` on the server",
            field="startDate",
        )
    if apply and runs > AT_ONCE:
        if not context().queue.reprice_soon(organization_id, asdict(where), by):
            raise Unavailable("The queue is away; nothing was repriced, try again in a moment", retry_after=5)
        return runs
    return reprice(context().store, organization_id, where, apply=apply, by=by, prices=prices)


def _reprice(key: KeyRow, where: Selection, *, apply: bool) -> shape.Repriced:
    done = reprice_some(key.organization.id, where, apply=apply, by=_by(key))
    if isinstance(done, int):
        return _answer(done, Difference(), {}, applied=False, queued=True)
    return _answer(done.runs, done.total, done.models, applied=apply, queued=False)


def _answer(
    runs: int, total: Difference, models: dict[tuple[str, str], Difference], *, applied: bool, queued: bool
) -> shape.Repriced:
    return shape.Repriced(
        success=True,
        applied=applied,
        queued=queued,
        runs=runs,
        changed=total.runs,
        cost_before=total.old_nanos / NANOS,
        cost_after=total.new_nanos / NANOS,
        difference=(total.new_nanos - total.old_nanos) / NANOS,
        unpriced_before=total.unpriced_before,
        unpriced_after=total.unpriced_after,
        by_model=[
            shape.RepricedModel(
                provider=provider,
                model=model,
                runs=one.runs,
                cost_before=one.old_nanos / NANOS,
                cost_after=one.new_nanos / NANOS,
                unpriced_before=one.unpriced_before,
                unpriced_after=one.unpriced_after,
            )
            for (provider, model), one in sorted(models.items())
        ],
    )


def _by(key: KeyRow) -> str:
    return key.member_email or f"key {key.name}"


def get_list_prices() -> Response:
    """The list prices in use, in dollars for a million tokens; needs no key and says nothing of anybody."""
    wanted = params.text("provider")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    pricing = []
    for one in price_list(today):
        if wanted in (None, one.provider):
            rates = rates_of(one.card)
            pricing.append(
                shape.ListPrice(
                    provider=one.provider,
                    model=one.model,
                    input=rates.input_uncached,
                    output=rates.output_text,
                    cache_read=rates.cache_read,
                )
            )
    return json_answer(
        shape.ListPrices(success=True, pricing=pricing, source=price_data_version(), date=today.date().isoformat())
    )
