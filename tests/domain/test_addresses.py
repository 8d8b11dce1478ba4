"""Addresses as people paste them."""

from __future__ import annotations

import pytest

from costlens.domain.addresses import MOST, address, addresses, is_address
from costlens.domain.errors import InvalidInput


def test_a_paste_of_many_kinds() -> None:
    text = """bob@example.com, Carol Example <Carol@Example.com>; dora@example.com eve@mail.example.com
    "Frank, the second" <frank@example.com>
    bob@EXAMPLE.com not-an-address @ a@b"""
    found, wrong = addresses(text)
    assert found == [
        "bob@example.com", "carol@example.com", "dora@example.com", "eve@mail.example.com", "frank@example.com",
    ]  # fmt: skip
    assert wrong == ['"frank', "not-an-address", "@", "a@b"]


def test_none_and_too_many() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        addresses(" \n;,")
    with pytest.raises(InvalidInput, match="101"):
        addresses(" ".join(f"p{number}@example.com" for number in range(MOST + 1)))


@pytest.mark.parametrize(
    "text",
    ["", "bob", "bob@", "@x.yz", "a b@x.yz", "bob@example", "b@x.y\nBcc: c@x.y", "b\0@x.yz", "a" * 250 + "@x.yz"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    assert not is_address(text)
    with pytest.raises(InvalidInput):
        address(text)


def test_an_address_is_kept_in_small_letters() -> None:
    assert address(" Bob.O'Neil+ai@Example.com ") == "bob.o'neil+ai@example.com"
