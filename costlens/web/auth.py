"""Who is calling: a bearer key on the API, a signed-in user on the pages.

The cookie holds a random token that is signed; its session is a row in the database, so it can be ended from anywhere.
"""

from __future__ import annotations

from flask import Flask, Request, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user
from werkzeug.wrappers import Response

from costlens.domain.errors import NotFound
from costlens.services import keys
from costlens.services import sessions as session_service
from costlens.services.sessions import Device
from costlens.store import organizations as org_store
from costlens.store.organizations import KeyRow, Organization, User
from costlens.web.context import context
from costlens.web.errors import is_page
from costlens.web.limits import charge_request


class SignedIn(UserMixin):  # type: ignore[misc]
    """The account behind a session."""

    def __init__(self, user: User, token: str, session_id: int | None = None) -> None:
        self.user = user
        self.token = token
        self.session_id = session_id  # None: it has only just begun

    def get_id(self) -> str:
        return self.token


def require_key(scope: str | None) -> KeyRow:
    """The API key of this request; `scope` None: whatever it may do. Raises Unauthorized, Forbidden or RateLimited."""
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    key = keys.authenticate(context().store, text.strip() if kind.lower() == "bearer" else None, scope)
    g.api_key = key
    charge_request(key)
    return key


class _Sessions(SecureCookieSessionInterface):
    """Flask's sessions: none for a call with a key, and no signer where there is no cookie to read."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "Authorization" in request.headers and not is_page(request.path):
            return self.make_null_session(app)
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def set_up_sessions(app: Flask) -> None:
    """Sessions of signed-in accounts on this application."""
    app.session_interface = _Sessions()
    manager = LoginManager()
    manager.session_protection = None  # the session's own version ends it; a changed address does not
    manager.init_app(app)
    manager.user_loader(_load_user)
    manager.unauthorized_handler(_sign_in_first)


def _load_user(token: str) -> SignedIn | None:
    found = session_service.find_session(context().store, token, device())
    return SignedIn(found.user, token, found.id) if found else None


def device() -> Device:
    """Where this request comes from."""
    return Device(request.remote_addr, request.headers.get("User-Agent"))


def start_session(user: User, method: str) -> None:
    """Signs an account in; `method` is link, password or github."""
    token = session_service.begin_session(context().store, user, method, device())
    session.clear()  # a session that somebody else began must not become this one
    login_user(SignedIn(user, token))
    session.permanent = True


def _sign_in_first() -> Response:
    session["next"] = request.full_path if request.method == "GET" else "/"
    return redirect(url_for("sign_in.sign_in_page"))


def current_account() -> User | None:
    """The signed-in account. None: nobody is."""
    return current_user.user if current_user.is_authenticated else None


def current_session_id() -> int:
    """The id of the session of this request, 0 when it has only just begun or nobody is signed in."""
    return (current_user.session_id or 0) if current_user.is_authenticated else 0


def current_organizations() -> list[Organization]:
    """The organizations of the signed-in user, oldest first."""
    user = current_account()
    if user is None:
        return []
    with context().store.read() as tx:
        return org_store.list_organizations(tx, user.id)


def current_organization(slug: str) -> Organization:
    """An organization of the signed-in user; another's is NotFound, like one that does not exist."""
    checked: Organization | None = g.get("organization")  # by web/access.py, for this page
    if checked is not None and checked.slug == slug:
        return checked
    found = next((one for one in current_organizations() if one.slug == slug), None)
    if found is None:
        raise NotFound("No such organization, or you are not a member of it")
    return found
