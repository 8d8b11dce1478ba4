"""Suggestions of who may be one human, and who is a bot."""

import pytest

from costlens.domain.names import Identity, identities_of, read_identities, without_shared, write_identities
from costlens.domain.people import KnownPerson, is_bot, label, suggest


def someone(number: int, *names: str, bot: bool = False, **who: str | int) -> KnownPerson:
    return KnownPerson(number, identities_of(**who), names, bot)  # type: ignore[arg-type]


ALICE = someone(1, "Alice Jones", email="alice@example.com")


@pytest.mark.parametrize(
    ("other", "evidence"),
    [
        (someone(2, "Alice Jones", email="aj@home.example"), ("both have the name “Alice Jones”",)),
        (
            someone(2, "ÁLICE  jones", email="aj@home.example"),
            ("the name “Alice Jones” and the name “ÁLICE  jones” are alike",),
        ),
        (someone(2, login="alice"), ("the address alice@example.com and the login alice are alike",)),
        (someone(2, login="AliceJones"), ("the name “Alice Jones” and the login alicejones are alike",)),
        (
            someone(2, email="alice+git@home.example"),
            ("the address alice@example.com and the address alice+git@home.example are alike",),
        ),
        (someone(2, "Bob", email="bob@example.com"), None),  # the same host proves nothing
        (someone(2, "Alice Jones", login="alice-bot[bot]", bot=True), None),
        (
            someone(2, "Alice", email="a@home.example"),
            ("the address alice@example.com and the name “Alice” are alike",),
        ),
    ],
)
def test_what_suggests_that_two_are_one(other: KnownPerson, evidence: tuple[str, ...] | None) -> None:
    found = suggest([other, ALICE], set())
    assert [(one.first, one.second, one.evidence) for one in found] == ([(1, 2, evidence)] if evidence else [])
    assert suggest([ALICE, other], {(1, 2)}) == []


def test_roles_short_words_and_what_many_share_suggest_nothing() -> None:
    assert suggest([someone(1, email="root@a.example"), someone(2, email="root@b.example")], set()) == []
    assert suggest([someone(1, email="al@a.example"), someone(2, login="al")], set()) == []
    assert suggest([someone(1, login="1234"), someone(2, email="1234@a.example")], set()) == []
    assert suggest([someone(number, "Build Machine") for number in range(1, 15)], set()) == []


def test_most_evidence_comes_first_and_what_speaks_against_is_told() -> None:
    alike = someone(3, email="alice@home.example")
    twin = someone(4, "Alice Jones", email="alice@work.example", github_id=9)
    known = someone(1, "Alice Jones", email="alice@example.com", github_id=7)
    found = suggest([known, alike, twin], set())
    assert [(one.first, one.second) for one in found] == [(1, 4), (1, 3), (3, 4)]
    assert found[0].evidence[-1] == "but each has a GitHub account of its own"
    assert all("account" not in one.evidence[-1] for one in found[1:])


def test_bots() -> None:
    for who in (
        {"login": "dependabot[bot]"},
        {"login": "renovate-bot"},
        {"email": "bot@renovateapp.com"},
        {"email": "49699333+dependabot[bot]@users.noreply.github.com"},
        {"login": "copilot-swe-agent[bot]"},
    ):
        assert is_bot(identities_of(**who)), who  # type: ignore[arg-type]
    for who in ({"login": "robot"}, {"login": "alice"}, {"email": "noreply@github.com"}):
        assert not is_bot(identities_of(**who)), who  # type: ignore[arg-type]


def test_what_a_person_is_called() -> None:
    both = identities_of(login="alice", email="alice@example.com", github_id=7)
    assert label(["Alice"], both) == "Alice"
    assert label([], both) == "alice@example.com"
    assert label([], identities_of(login="alice", github_id=7)) == "alice"
    assert label([], ()) == "nobody"


def test_identities_as_text() -> None:
    both = identities_of(login="alice", email="a:b@example.com", github_id=7)
    text = write_identities(both)
    assert text is not None
    assert read_identities(text) == both
    assert write_identities(()) is None


def test_an_address_of_many_says_nothing_beside_others() -> None:
    shared = Identity("email", "noreply@github.com")
    assert without_shared([Identity("login", "alice"), shared]) == (Identity("login", "alice"),)
    assert without_shared([shared]) == (shared,)
