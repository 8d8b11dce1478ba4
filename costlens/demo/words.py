"""Titles, branch names and file paths of invented work."""

from __future__ import annotations

import random

TOPICS: dict[str, tuple[str, ...]] = {
    "web-storefront": (
        "cart drawer", "category page", "product gallery", "size guide", "wish list", "search box", "sign-in form",
        "order history", "gift card page", "address book", "store finder", "promo banner", "review stars",
    ),
    "checkout-api": (
        "payment intent", "refund endpoint", "tax quote", "shipping options", "coupon rules", "order totals",
        "webhook retries", "idempotency keys", "fraud hold", "invoice export", "card vault",
    ),
    "search-ranking": (
        "rerank features", "query rewriting", "synonym graph", "click model", "offline evaluation", "cold-start boost",
        "spelling candidates", "embedding index",
    ),
    "data-pipelines": (
        "orders mart", "events loader", "catalog snapshot", "retention report", "late arrivals", "schema checks",
        "currency table", "attribution model",
    ),
    "ledger-core": (
        "posting engine", "balance cache", "journal export", "rounding rules", "period close", "account tree",
        "audit trail", "settlement file",
    ),
    "mobile-app": (
        "home feed", "push opt-in", "offline basket", "barcode scanner", "deep links", "biometric sign-in",
        "order tracking", "image cache",
    ),
    "infra": (
        "staging cluster", "log retention", "queue alarms", "certificate renewal", "backup job", "network policy",
        "build cache", "cost tags",
    ),
    "design-system": ("button states", "colour tokens", "date picker", "focus ring", "type scale", "dialog", "toast"),
}  # fmt: skip
CHANGES: tuple[tuple[str, str], ...] = (
    ("Add", "feature"),
    ("Fix", "fix"),
    ("Rework", "refactor"),
    ("Speed up", "perf"),
    ("Test", "test"),
    ("Simplify", "refactor"),
    ("Extend", "feature"),
    ("Document", "docs"),
)
DETAILS = (
    "", "", "", " for guests", " behind a flag", " on slow networks", " with empty input", " in the new layout",
    " for partial orders", " when a request is repeated", " across regions", " for large accounts",
)  # fmt: skip
STEPS = (
    "first version",
    "cover the edge cases",
    "follow the review",
    "tidy up",
    "fix the failing test",
    "last touches",
)
PACKAGES = ("http-client", "lint-rules", "test-runner", "date-tools", "json-schema", "image-loader", "yaml-parser")
LABELS = {"fix": "bug", "feature": "enhancement", "docs": "documentation", "perf": "performance"}


def title_and_kind(rng: random.Random, repository: str) -> tuple[str, str, str]:
    """A title, the kind of change (as branches and labels name it) and the topic."""
    verb, kind = rng.choice(CHANGES)
    topic = rng.choice(TOPICS[repository])
    return f"{verb} {topic}{rng.choice(DETAILS)}", kind, topic


def slug(text: str) -> str:
    """The text as part of a branch name or path."""
    return "-".join(text.lower().split())


def paths(rng: random.Random, topic: str, suffix: str, count: int) -> tuple[str, ...]:
    """`count` distinct paths around one topic, tests included."""
    folder = slug(topic)
    names = ["index", "model", "view", "state", "rules", "format", "client", "errors", "limits", "events", "store"]
    rng.shuffle(names)
    found: list[str] = []
    for name in names:
        found.append(f"src/{folder}/{name}.{suffix}")
        if rng.random() < 0.5:
            found.append(f"tests/{folder}/{name}_test.{suffix}")
    return tuple(found[:count])
