"""One pull request: its facts, the links that point to it, what they add up to, and what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Row, and_, case, cast, func, literal_column, select, type_coerce, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.types import to_millis

QUARTER_MILLIS = 900_000


def find_pull(tx: Tx, organization_id: int, repository: str, number: int) -> int | None:
    """Id of a pull request by `owner/name` and number. None: not known."""
    alias, pull = t.repository_aliases.c, t.pull_requests.c
    return tx.scalar(
        select(pull.id)
        .join(t.repository_aliases, alias.repository_id == pull.repository_id)
        .where(alias.organization_id == organization_id, alias.name == repository.lower())
        .where(pull.organization_id == organization_id, pull.number == number)
    )


def get_pull(tx: Tx, organization_id: int, pull_request_id: int) -> Row[Any] | None:
    """A pull request with its repository, its author's login and whether its details are read. None: there is none."""
    pull, detail = t.pull_requests.c, t.pull_request_details.c
    return tx.execute(
        select(
            t.pull_requests,
            t.repositories.c.name.label("repository"),
            t.repositories.c.imported_at,
            login_of(pull.person_id, organization_id).label("login"),
            detail.reviews_due,
            detail.diff_due,
        )
        .join(t.repositories, t.repositories.c.id == pull.repository_id)
        .outerjoin(t.pull_request_details, detail.pull_request_id == pull.id)
        .where(pull.organization_id == organization_id, pull.id == pull_request_id)
    ).first()


def login_of(person: Any, organization_id: int) -> Any:
    """A person's login as a column, the first of several. Null: none is known."""
    identity = t.identities.c
    return (
        select(func.min(identity.value))
        .where(identity.organization_id == organization_id, identity.person_id == person, identity.kind == "login")
        .scalar_subquery()
    )


def links_of_pull(
    tx: Tx, organization_id: int, pull_request_id: int, states: Sequence[str], limit: int
) -> Sequence[Any]:
    """Links that hold now and are in one of these states, with their runs, those of the latest runs first."""
    run, link = t.runs.c, t.links.c
    return tx.execute(
        select(
            run.id, run.request_id, run.occurred_at, run.provider, run.model, run.prompt_id, run.actor, run.success,
            run.cost_nanos, run.usage_quality, run.linked_at, run.repository_id,
            *(run[name] for name in t.USAGE_COLUMNS),
            link.cost_nanos.label("linked_nanos"), link.state, link.rule, link.confidence, link.evidence,
        )
        .join(t.links, (link.run_id == run.id) & (link.organization_id == run.organization_id))
        .where(link.organization_id == organization_id, link.pull_request_id == pull_request_id)
        .where(link.state.in_(states), link.valid_to.is_(None))
        .order_by(run.occurred_at.desc(), run.id.desc())
        .limit(limit)
    ).all()  # fmt: skip


def sums_of_pull(tx: Tx, organization_id: int, pull_request_id: int) -> Sequence[Row[Any]]:
    """Counted and suggested runs by quarter hour (milliseconds since 1970), provider and model: runs, cost, tokens.

    The cost of a suggested run is all of it, that of a counted one the share that the link has.
    """
    run, link = t.runs.c, t.links.c
    # The number itself and no parameter: PostgreSQL would not see that it groups by what it selects.
    quarter = type_coerce(run.occurred_at, BigInteger) // literal_column(str(QUARTER_MILLIS), BigInteger)
    tokens = sum((run[name] for name in t.USAGE_COLUMNS[1:]), run[t.USAGE_COLUMNS[0]])
    cost = case((link.state == "counted", link.cost_nanos), else_=func.coalesce(run.cost_nanos, 0))
    return tx.execute(
        select(
            quarter.label("quarter"),
            run.provider,
            run.model,
            link.state,
            func.count().label("runs"),
            func.count(run.cost_nanos).label("priced"),
            _whole(func.sum(cost)).label("cost_nanos"),
            _whole(func.sum(tokens)).label("tokens"),
            _whole(func.sum(run.input_uncached + run.cache_read + run.cache_write_5m + run.cache_write_1h)).label(
                "input"
            ),
            _whole(func.sum(run.cache_read)).label("cached"),
        )
        .join(t.links, (link.run_id == run.id) & (link.organization_id == run.organization_id))
        .where(link.organization_id == organization_id, link.pull_request_id == pull_request_id)
        .where(link.state.in_(("counted", "suggested")), link.valid_to.is_(None))
        .group_by(quarter, run.provider, run.model, link.state)
        .order_by(quarter)
    ).all()


def rules_of_pull(tx: Tx, organization_id: int, pull_request_id: int) -> Sequence[Row[Any]]:
    """Counted runs by the rule of their link: how many, and how many of them with estimated tokens."""
    run, link = t.runs.c, t.links.c
    return tx.execute(
        select(
            link.rule,
            func.count().label("runs"),
            _whole(func.sum(case((run.usage_quality == "exact", 0), else_=1))).label("guessed"),
        )
        .join(t.links, (link.run_id == run.id) & (link.organization_id == run.organization_id))
        .where(link.organization_id == organization_id, link.pull_request_id == pull_request_id)
        .where(link.state == "counted", link.valid_to.is_(None))
        .group_by(link.rule)
    ).all()


def reviews_of_pull(tx: Tx, organization_id: int, pull_request_id: int) -> Sequence[Any]:
    """Reviews with who gave them, oldest first."""
    review, person = t.pull_request_reviews.c, t.people.c
    return tx.execute(
        select(
            review.person_id,
            review.state,
            review.submitted_at,
            func.coalesce(person.bot, False).label("bot"),
            func.coalesce(login_of(review.person_id, organization_id), person.name).label("name"),
        )
        .outerjoin(t.people, person.id == review.person_id)
        .where(review.organization_id == organization_id, review.pull_request_id == pull_request_id)
        .order_by(review.submitted_at, review.position)
    ).all()


def merged_costs(tx: Tx, organization_id: int, repository_id: int, since: datetime, until: datetime) -> list[int]:
    """Whole-life counted cost of each pull request merged in [since, until] that has counted runs, rising."""
    r = t.rollup_pulls.c
    rows = tx.scalars(
        select(r.cost_nanos)
        .where(r.organization_id == organization_id, r.cut == "pull", r.home_id == repository_id, r.merged == 1)
        .where(r.ended_at >= to_millis(since), r.ended_at <= to_millis(until))
        .where((r.runs > 0) | (r.cost_nanos > 0))
        .order_by(r.cost_nanos)
    )
    return list(rows)


def prompts_of_pull(tx: Tx, organization_id: int, pull_request_id: int, since: date) -> Sequence[Row[Any]]:
    """promptIds that the diff brings in, dearest first, with what ran since a day, that day included.

    Each with runs, runs with a price, and cost.
    """
    brought, sums = t.pull_request_prompts.c, t.rollup_dimension.c
    cost = _whole(func.coalesce(func.sum(sums.cost_nanos), 0)).label("cost_nanos")
    return tx.execute(
        select(
            brought.prompt_id,
            _whole(func.coalesce(func.sum(sums.runs), 0)).label("runs"),
            _whole(func.coalesce(func.sum(sums.priced_runs), 0)).label("priced_runs"),
            cost,
        )
        .outerjoin(
            t.rollup_dimension,
            and_(
                sums.organization_id == brought.organization_id,
                sums.dimension == "prompt",
                sums.value == brought.prompt_id,
                sums.day >= since,
            ),
        )
        .where(brought.organization_id == organization_id, brought.pull_request_id == pull_request_id)
        .group_by(brought.prompt_id)
        .order_by(cost.desc(), brought.prompt_id)
    ).all()


def mark_pull(tx: Tx, organization_id: int, pull_request_id: int, said: str | None) -> str | None:
    """Sets what a person says of a pull request; answers what was said before. Raises NoResultFound for an unknown."""
    pull = t.pull_requests.c
    mine = (pull.organization_id == organization_id, pull.id == pull_request_id)
    before: str | None = tx.execute(select(pull.ai_mark).where(*mine).with_for_update()).scalar_one()
    tx.execute(update(t.pull_requests).where(*mine).values(ai_mark=said))
    return before


def _whole(column: Any) -> Any:
    return cast(column, BigInteger)
