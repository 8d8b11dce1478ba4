"""Rate cards: list prices and an organization's own, compiled to integers and found by model and moment.

Source of list prices: `genai_prices`, offline data with history. Its rules are followed to the letter (and tested
against it): a class without a rate of its own is billed as the class it is part of, a context tier applies to all
tokens of the run, start dates are UTC midnights, some models have daily off-peak hours.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from costlens.domain.errors import InvalidInput

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider, TieredPrices

PICOS = 10**12  # in a dollar

COLUMNS = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning")

# Each column's rate is the first of these that the library has; all its rates are per million tokens.
_LIBRARY_RATES: Mapping[str, tuple[str, ...]] = {
    "input_uncached": ("input_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "output_text": ("output_mtok",),
    "output_reasoning": ("output_reasoning_mtok", "output_mtok"),
}
OVERRIDE_RATES: Mapping[str, tuple[str, ...]] = {
    "input_uncached": ("input_uncached",),
    "cache_read": ("cache_read", "input_uncached"),
    "cache_write_5m": ("cache_write_5m", "input_uncached"),
    "cache_write_1h": ("cache_write_1h", "cache_write_5m", "input_uncached"),
    "output_text": ("output_text",),
    "output_reasoning": ("output_reasoning", "output_text"),
}

# Clouds that resell: their names often contain the maker's ("azure-openai"), which the library would take for it.
_RESELLERS = (("azure", "azure"), ("bedrock", "aws"), ("vertex", "google"))
_PROVIDER_ALIASES = {"aws": "aws", "grok": "x-ai", "fireworks-ai": "fireworks", "fireworks_ai": "fireworks"}
# Programs that run models on one's own machines: a list price of the model's maker says nothing about them.
_OWN_MACHINES = frozenset({"ollama", "vllm", "lmstudio", "lm-studio", "llamacpp", "llama.cpp", "local", "localhost"})


@dataclass(frozen=True, slots=True)
class RateCard:
    """What one model costs: pico-dollars per token for each usage column, as `rate ÷ divisor`."""

    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output_text: int
    output_reasoning: int
    source: str  # "genai-prices <version>", "override", "alias"
    version: str  # kept on the run as its price version
    provider: str
    model: str  # canonical id
    per_run: int = 0  # billed once a run on top of tokens
    divisor: int = 1  # a power of ten: above 1 for the few list prices that are no whole number of picos
    valid_from: datetime | None = None  # None: no earlier price is known
    valid_to: datetime | None = None  # excluded. None: no later price is known
    approximate: bool = False  # the processing or tier asked for has no price here: the standard one stands in

    @property
    def rates(self) -> tuple[int, ...]:
        """The six rates in the order of COLUMNS, in 1 ÷ divisor picos."""
        return (
            self.input_uncached,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.output_text,
            self.output_reasoning,
        )

    @property
    def free(self) -> bool:
        """True if nothing about the model costs anything."""
        return not self.per_run and not any(self.rates)


@dataclass(frozen=True, slots=True)
class Override:
    """An organization's own price of a model from a date on: either another model's, or rates of its own.

    `picos` are pico-dollars per token by usage column; a class left out is billed as the class it is part of.
    """

    provider: str
    model: str
    effective_from: datetime
    alias_of: str | None = None  # None: rates are given; "model" or "provider/model"
    picos: Mapping[str, int] | None = None  # None: an alias

    def __post_init__(self) -> None:
        if (self.alias_of is None) == (self.picos is None):
            raise InvalidInput("give either another model's name or prices", field="aliasOf")
        for column, rate in (self.picos or {}).items():
            if column not in COLUMNS or type(rate) is not int or not 0 <= rate <= PICOS:
                raise InvalidInput(f"no price for {column}: {rate!r}", field="picos")
        if self.picos is not None and "input_uncached" not in self.picos:
            raise InvalidInput("a price for input is needed", field="picos")


def find_card(
    provider: str,
    model: str,
    at: datetime,
    *,
    processing: str | None = None,
    service_tier: str | None = None,
    input_tokens: int = 0,
    overrides: Sequence[Override] = (),
) -> RateCard | None:
    """The rate card in force for a run of `input_tokens` (cached ones included) at an aware time; None is unpriced."""
    if overrides:
        override = _override_in_force(overrides, provider, model, at)
        if override is not None and override.picos is not None:
            return _own_card(override, override.picos)
        if override is not None:
            target = override.alias_of or ""
            rates = _override_in_force(overrides, provider, target, at)
            if rates is not None and rates.picos is not None:
                return _own_card(rates, rates.picos)
            alias = _list_prices(provider, target, processing, service_tier, True)
            return alias.card(at, input_tokens) if alias else None
    prices = _list_prices(provider, model, processing, service_tier, False)
    return prices.card(at, input_tokens) if prices else None


def price_data_version() -> str:
    """Name and version of the list prices, as in a card's `source`; the first call loads them."""
    from genai_prices import __version__

    return f"genai-prices {__version__}"


@dataclass(frozen=True, slots=True)
class _Found:
    provider: Provider
    model: ModelInfo
    guessed: bool  # by the model's name: the caller's provider is not known, or not known to have the model


class _ListPrices:
    """Compiled list prices of one model in one processing context, filled in as moments are asked for."""

    def __init__(self, found: _Found, context: Mapping[str, str], alias: bool) -> None:
        from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

        provider, model = found.provider, found.model
        # As in the library: a context counts only where the provider itself lists the model.
        own = any(model is listed for listed in provider.models)
        self.provider, self.model, self.guessed = provider, model, found.guessed
        self.asked = dict(context)
        self.context = self.asked if own else {}
        self.source = "alias" if alias else price_data_version()
        self.mark = f"{'alias ' if alias else ''}{price_data_version().replace('genai-prices', 'gp').replace(' ', '')}"
        dated = list(model.prices) if isinstance(model.prices, list) else []
        constraints = [c.constraint for c in dated] + [v.constraint for v in model.price_variants or ()]
        self.starts = sorted(
            {datetime.combine(c.start_date, time(), UTC) for c in constraints if isinstance(c, StartDateConstraint)}
        )
        self.hours = sorted(
            {
                _utc_time(edge)
                for c in constraints
                if isinstance(c, TimeOfDateConstraint)
                for edge in (c.start_time, c.end_time)
            }
        )
        self.windows: dict[tuple[int, int], tuple[tuple[int, ...], tuple[RateCard | None, ...]]] = {}

    def card(self, at: datetime, input_tokens: int) -> RateCard | None:
        starts, hours = self.starts, self.hours
        window = (
            bisect_right(starts, at) if starts else 0,
            bisect_right(hours, at.astimezone(UTC).time()) if hours else 0,
        )
        compiled = self.windows.get(window)
        if compiled is None:
            compiled = self.windows[window] = self._compile(at, window[0])
        thresholds, cards = compiled
        return cards[bisect_left(thresholds, input_tokens)] if thresholds else cards[0]

    def _compile(self, at: datetime, window: int) -> tuple[tuple[int, ...], tuple[RateCard | None, ...]]:
        from genai_prices.types import TieredPrices

        prices = self.model.get_prices(at, self.context)
        rates: dict[str, Decimal | TieredPrices] = {k: v for k, v in prices.__dict__.items() if v is not None}
        tiered = [rate for rate in rates.values() if isinstance(rate, TieredPrices)]
        thresholds = tuple(sorted({tier.start for rate in tiered for tier in rate.tiers}))
        approximate = bool(self.asked) and prices == self.model.get_prices(at)
        begins = (*thresholds, None)  # the tier up to each threshold, then the one above all
        return thresholds, tuple(self._one(rates, upto, window, approximate) for upto in begins)

    def _one(
        self, rates: Mapping[str, Decimal | TieredPrices], upto: int | None, window: int, approximate: bool
    ) -> RateCard | None:
        flat = {key: _at_tier(rate, upto) for key, rate in rates.items()}
        if flat and not any(key in flat for key in ("input_mtok", "output_mtok")):
            return None  # billed by the hour, page or character: tokens tell nothing
        if not flat and (self.model.deprecated or self.guessed):
            return None  # withdrawn, or given away by someone else: not the same as free
        picos = [_first(flat, _LIBRARY_RATES[column]) * 10**6 for column in COLUMNS]
        per_run = flat.get("requests_kcount", Decimal(0)) * 10**9
        decimals = max(0, *(-int(rate.normalize().as_tuple().exponent) for rate in (*picos, per_run)))
        divisor = 10**decimals
        plain, read, write_5m, write_1h, text, reasoning = (int(rate * divisor) for rate in picos)
        start = self.starts[window - 1] if window else None
        return RateCard(
            plain,
            read,
            write_5m,
            write_1h,
            text,
            reasoning,
            source=self.source,
            version=f"{self.mark}@{start:%Y-%m-%d}" if start else self.mark,
            provider=self.provider.id,
            model=self.model.id,
            per_run=int(per_run * divisor),
            divisor=divisor,
            valid_from=start,
            valid_to=self.starts[window] if window < len(self.starts) else None,
            approximate=approximate,
        )


def _at_tier(rate: Decimal | TieredPrices, upto: int | None) -> Decimal:
    """The rate for inputs that reach `upto` tokens and no more; None: for inputs above every threshold."""
    if isinstance(rate, Decimal):
        return rate
    price = rate.base
    for tier in rate.tiers:
        if upto is None or upto > tier.start:
            price = tier.price
    return price


def _first(rates: Mapping[str, Decimal], keys: Sequence[str]) -> Decimal:
    return next((rates[key] for key in keys if key in rates), Decimal(0))


def _utc_time(edge: time) -> time:
    if edge.tzinfo is None:
        return edge
    return datetime.combine(datetime(1970, 1, 1, tzinfo=UTC), edge).astimezone(UTC).time()


# Names come from callers, so the cache is bounded, and the library's own unbounded look-up caches are not used.
@lru_cache(maxsize=4096)
def _list_prices(
    provider: str, model: str, processing: str | None, service_tier: str | None, alias: bool
) -> _ListPrices | None:
    found = _resolve(provider, model) or (_resolve_by_model(model) if alias else None)
    return _ListPrices(found, _context(processing, service_tier), alias) if found else None


def _context(processing: str | None, service_tier: str | None) -> dict[str, str]:
    """The library's price context; it knows batch only as `processing`, the others only as `service_tier`."""
    context: dict[str, str] = {}
    for value in (processing, service_tier):
        name = (value or "").strip().lower()
        if name == "batch":
            context["processing"] = "batch"
        elif name == "fast":
            context |= {"service_tier": "fast", "speed": "fast"}
        elif name in ("flex", "priority"):
            context["service_tier"] = name
    return context


def _resolve(provider: str, model: str) -> _Found | None:
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    providers = get_snapshot().providers
    named, model = provider.strip().lower(), model.strip().lower()
    if named in _OWN_MACHINES:
        return None
    reseller = next((known_as for word, known_as in _RESELLERS if word in named), None)
    known = find_provider_by_id(providers, reseller or _PROVIDER_ALIASES.get(named, named))
    if known is None:
        return _resolve_by_model(model)
    if found := known.find_model(model, all_providers=providers):
        return _Found(known, found, guessed=False)
    prefix, slash, rest = model.partition("/")
    if slash and (found := known.find_model(rest, all_providers=providers)):
        return _Found(known, found, guessed=False)
    return _resolve_by_model(model) if slash and find_provider_by_id(providers, prefix) else None


def _resolve_by_model(model: str) -> _Found | None:
    """The model of the maker that its prefix names, else of the only provider that claims ids of its kind."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    providers = get_snapshot().providers
    model = model.strip().lower()
    prefix, slash, rest = model.partition("/")
    if slash and (maker := find_provider_by_id(providers, prefix)):
        found = maker.find_model(rest, all_providers=providers)
        return _Found(maker, found, guessed=True) if found else None
    claims = [p for p in providers if p.model_match is not None and p.model_match.is_match(model)]
    matches = [_Found(p, m, guessed=True) for p in claims if (m := p.find_model(model, all_providers=providers))]
    return matches[0] if len(matches) == 1 else None


def _override_in_force(overrides: Sequence[Override], provider: str, model: str, at: datetime) -> Override | None:
    named, wanted = provider.lower(), model.lower()
    best: Override | None = None
    for override in overrides:
        if (
            override.model.lower() == wanted
            and override.provider.lower() == named
            and override.effective_from <= at
            and (best is None or override.effective_from > best.effective_from)
        ):
            best = override
    return best


def _own_card(override: Override, picos: Mapping[str, int]) -> RateCard:
    plain, read, write_5m, write_1h, text, reasoning = (
        next((picos[name] for name in OVERRIDE_RATES[column] if name in picos), 0) for column in COLUMNS
    )
    return RateCard(
        plain,
        read,
        write_5m,
        write_1h,
        text,
        reasoning,
        source="override",
        version=f"own@{override.effective_from.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
        provider=override.provider,
        model=override.model,
        valid_from=override.effective_from,
    )
