"""What would cost less: told only with evidence, and with the money that it saves."""

from __future__ import annotations

from dataclasses import replace

from costlens.domain.recommendations import ModelUse, recommend

BIG = ModelUse("openai", "big", 1_000, 990, 0, 10_000_000_000, 1_000_000, 0, 100_000)
SMALL = ModelUse("openai", "small", 200, 198, 0, 100_000_000, 100_000, 0, 10_000)


def cost_of(provider: str, model: str, uncached: int, cached: int, output: int) -> int | None:
    """Nano-dollars: big costs ten times as much as small, cached input a tenth."""
    rate = {"big": 10_000, "small": 1_000}.get(model)
    return None if rate is None else rate * (uncached + cached // 10)


def test_a_cheaper_model_that_does_as_well() -> None:
    (found,) = recommend([BIG, SMALL], cost_of)
    assert found.kind == "model_downgrade"
    assert found.saved_nanos == round(0.2 * (BIG.cost_nanos - 1_000 * 1_000_000))
    assert found.text.startswith("Shift 20% of big traffic to small, ok in 99 % of 200 runs: saves about $1.80")


def test_another_provider() -> None:
    (found,) = recommend([BIG, replace(SMALL, provider="anthropic")], cost_of)
    assert found.kind == "provider_switch"


def test_no_word_without_evidence() -> None:
    for other in (
        replace(SMALL, runs=49, succeeded=49),
        replace(SMALL, succeeded=150),
        replace(SMALL, model="unheard-of"),
    ):
        assert recommend([BIG, other], cost_of) == []


def test_long_prompts_that_are_not_cached() -> None:
    long = replace(BIG, runs=100, succeeded=100)
    (found,) = recommend([long], cost_of)
    assert found.kind == "prompt_caching"
    assert found.saved_nanos == 10_000 * 450_000
    assert recommend([replace(long, cached_tokens=500_000)], cost_of) == []


def test_a_missing_price_comes_last() -> None:
    found = recommend([BIG, SMALL, replace(SMALL, model="unheard-of", unpriced=7)], cost_of)
    assert [one.kind for one in found] == ["model_downgrade", "price_missing"]
    assert found[-1].text == "Set a price for unheard-of: 7 runs have no known cost"
