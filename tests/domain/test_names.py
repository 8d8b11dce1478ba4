"""Names made comparable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.errors import InvalidInput
from costlens.domain.names import Identity, actor_identities, identities_of, repository_name, slug


@pytest.mark.parametrize(
    "text",
    [
        "acme/web",
        " acme/web/ ",
        "acme/web.git",
        "https://github.com/acme/web",
        "https://github.com/acme/web.git",
        "https://github.com/acme/web.git/",
        "https://github.com/acme/web/",
        "http://ghe.example.com:8443/acme/web.git",
        "https://alice@github.com/acme/web",
        "https://alice:secret@github.com/acme/web.git",
        "https://x-access-token:secret@ghe.example.com/acme/web.git",
        "git@github.com:acme/web.git",
        "git@ghe.example.com:acme/web",
        "org-7@ghe.example.com:acme/web.git",
        "ssh://git@github.com/acme/web.git",
        "ssh://git@ghe.example.com:2222/acme/web.git",
        "git://github.com/acme/web.git",
        "git+ssh://git@github.com/acme/web.git",
        "HTTPS://GitHub.com/acme/web",
        "github.com/acme/web",
        "github.com:acme/web.git",
    ],
)
def test_every_form_of_a_remote_names_the_repository(text: str) -> None:
    assert repository_name(text) == "acme/web"


def test_letter_case_and_dots_stay() -> None:
    assert repository_name("https://github.com/Acme/Web.js") == "Acme/Web.js"
    assert repository_name("Acme-Inc/.github") == "Acme-Inc/.github"


def test_groups_of_other_hosts_stay() -> None:
    assert repository_name("git@gitlab.example.com:group/part/web.git") == "group/part/web"


@pytest.mark.parametrize(
    "text",
    ["", "web", "/", "acme/", "/web", "acme//web", "acme/we b", "https://github.com", "https://github.com/acme",
     "a" * 300, "acme/web\nx/y", "acme/..", "../web", "./web", "file:///srv/acme/web", "https://github.com/acme/web?x=1"],
)  # fmt: skip
def test_what_is_no_repository(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        repository_name(text)
    assert refused.value.field == "repo"


@given(st.text(max_size=60))
def test_any_text_is_refused_or_made_stable(text: str) -> None:
    try:
        name = repository_name(text)
    except InvalidInput:
        return
    assert repository_name(name) == name
    assert not any(letter.isspace() for letter in name)


def test_all_that_one_author_is_known_by() -> None:
    assert identities_of(login="Alice", email="Alice@Example.com", github_id=7) == (
        Identity("github_id", "7"),
        Identity("login", "alice"),
        Identity("email", "alice@example.com"),
    )


@pytest.mark.parametrize(
    ("email", "more"),
    [
        ("7+Alice@users.noreply.github.com", {("github_id", "7"), ("login", "alice")}),
        ("alice@users.noreply.github.com", {("login", "alice")}),
        ("7+alice@users.noreply.ghe.example.com", {("github_id", "7"), ("login", "alice")}),
        (
            "49+dependabot[bot]@users.noreply.github.com",
            {("github_id", "49"), ("login", "dependabot[bot]")},
        ),
        ("7+alice@users.noreply", set()),
        ("noreply@github.com", set()),
        ("alice@example.com", set()),
    ],
)
def test_a_no_reply_address_names_login_and_id(email: str, more: set[tuple[str, str]]) -> None:
    found = {(identity.kind, identity.value) for identity in identities_of(email=email)}
    assert found == more | {("email", email.lower())}


def test_nothing_is_nobody() -> None:
    assert identities_of() == identities_of(login="", email="no address") == ()


@pytest.mark.parametrize(
    ("actor", "identity"),
    [
        ("Alice", ("login", "alice")),
        ("@alice ", ("login", "alice")),
        ("alice@example.com", ("email", "alice@example.com")),
        ("dependabot[bot]", ("login", "dependabot[bot]")),
    ],
)
def test_an_actor_is_a_login_or_an_address(actor: str, identity: tuple[str, str]) -> None:
    assert [(found.kind, found.value) for found in actor_identities(actor)] == [identity]


@pytest.mark.parametrize("actor", ["", " ", "@"])
def test_an_empty_actor_is_nobody(actor: str) -> None:
    assert actor_identities(actor) == ()


@pytest.mark.parametrize(
    ("name", "short"),
    [("Acme Tools", "acme-tools"), ("  Crème & Brûlée!  ", "creme-brulee"), ("a" * 90, "a" * 60), ("R2-D2", "r2-d2")],
)
def test_a_slug_is_plain(name: str, short: str) -> None:
    assert slug(name) == short


def test_a_slug_never_ends_in_a_hyphen() -> None:
    assert slug("a" * 59 + " b") == "a" * 59


@pytest.mark.parametrize("name", ["", "!!!", "日本"])
def test_a_name_without_letters_has_no_slug(name: str) -> None:
    with pytest.raises(InvalidInput):
        slug(name)
