"""The pages' own files: an address for each content, caching, compression."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask

from costlens.config import load_settings
from costlens.factory import create_app

ROOT = Path(__file__).parents[2]
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application; no request of this module asks for the database."""
    return create_app(load_settings({"COSTLENS_DATA": str(tmp_path_factory.mktemp("data"))}))


def addresses(app: Flask) -> list[str]:
    return sorted(set(re.findall(r'(?:href|src)="(/static/[^"#]+)', app.test_client().get("/sign-in").text)))


def test_every_file_of_a_page_has_an_address_that_browsers_keep(app: Flask) -> None:
    found = addresses(app)
    assert {re.sub(r"\?.*", "", address) for address in found} >= {"/static/app.css", "/static/app.js"}
    for address in found:
        response = app.test_client().get(address)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable", address


@pytest.mark.parametrize("query", ["", "?v=", "?v=0123456789ab"])
def test_an_address_that_does_not_name_the_content_is_not_kept_for_long(app: Flask, query: str) -> None:
    response = app.test_client().get(f"/static/app.css{query}")
    assert response.status_code == 200
    assert "immutable" not in response.headers["Cache-Control"]
    assert (response.cache_control.max_age or 0) <= 3600


def test_another_content_has_another_address(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "app.css").write_text("a {}")
    before = addresses(app)
    app.static_folder, folder = str(tmp_path), app.static_folder
    try:
        after = addresses(app)
    finally:
        app.static_folder = folder
    assert [one for one in before if "app.css" in one] != [one for one in after if "app.css" in one]


@pytest.mark.parametrize("path", ["/sign-in", "/static/app.css", "/static/app.js", "/static/icons.svg"])
def test_pages_and_files_are_compressed_for_who_can_read_it(app: Flask, path: str) -> None:
    plain = app.test_client().get(path, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in plain.headers
    packed = app.test_client().get(path, headers=GZIP)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.content_length == len(packed.data) < len(plain.data) / 1.5
    assert "Accept-Encoding" in packed.vary
    assert "Accept-Encoding" in plain.vary


def test_a_compressed_file_is_not_sent_again_when_the_browser_has_it(app: Flask) -> None:
    first = app.test_client().get("/static/app.css", headers=GZIP)
    again = app.test_client().get("/static/app.css", headers=GZIP | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_part_of_a_file_is_that_part(app: Flask) -> None:
    response = app.test_client().get("/static/app.css", headers=GZIP | {"Range": "bytes=0-9"})
    assert response.status_code == 206
    assert response.data == (ROOT / "costlens/static/app.css").read_bytes()[:10]


def test_the_api_is_not_compressed(app: Flask) -> None:
    response = app.test_client().get("/runs", headers=GZIP)
    assert response.mimetype == "application/json"
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("path", ["/static/none.css", "/static/../factory.py", "/static/%2e%2e/factory.py"])
def test_other_files_are_not_served(app: Flask, path: str) -> None:
    assert app.test_client().get(path).status_code == 404


def test_every_vendored_folder_names_its_version_and_carries_its_licence() -> None:
    folders = [path for path in (ROOT / "costlens/static/vendor").iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        assert re.search(r"-\d+\.\d+\.\d+$", folder.name), folder
        assert list(folder.glob("LICENSE*")), folder
