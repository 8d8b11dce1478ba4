"""One call to GitHub's API by PyGithub's requester, and what its refusals mean.

PyGithub's objects are left alone: their lazy attributes cost a call each, and its retries sleep inside the process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from costlens import __version__
from costlens.domain.sync import (
    BadCredentials,
    Budget,
    EmptyRepository,
    GitHubTrouble,
    Moved,
    NoAccess,
    NotPermitted,
    Paused,
    Refused,
    Unreachable,
)

if TYPE_CHECKING:
    from github.Auth import Auth

TIMEOUT = 20  # seconds of one call
API_VERSION = "2022-11-28"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int  # 200 to 299, or 304
    headers: Mapping[str, str]  # lower-case names
    body: Any  # None: no body

    @property
    def etag(self) -> str | None:
        """The tag of this answer. None: it has none."""
        return self.headers.get("etag")

    @property
    def next_page(self) -> bool:
        """Whether the list goes on."""
        return 'rel="next"' in self.headers.get("link", "")


class Client:
    """Calls to one GitHub in the name of one token or App."""

    def __init__(self, api_url: str, auth: Auth | None) -> None:
        # Slow to load, and the web process needs it only while somebody connects.
        from github.Requester import Requester

        self.api_url = api_url
        self.budget: Budget | None = None
        self._requester = Requester(
            auth=auth,
            base_url=api_url,
            timeout=TIMEOUT,
            user_agent=f"CostLens/{__version__}",
            per_page=100,
            verify=True,
            retry=None,  # waiting is the queue's work
            pool_size=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            api_version=API_VERSION,
        )

    def get(self, path: str, parameters: Mapping[str, Any] | None = None, *, etag: str | None = None) -> Answer:
        """Reads; asks a second time at once when GitHub itself failed. Raises GitHubTrouble."""
        try:
            return self._call("GET", path, parameters, etag, None)
        except Unreachable:
            return self._call("GET", path, parameters, etag, None)

    def send(self, verb: str, path: str, body: Any = None) -> Answer:
        """Writes or asks by a body. Raises GitHubTrouble."""
        return self._call(verb, path, None, None, body)

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The data of a GraphQL query. Raises GitHubTrouble."""
        answer = self.send("POST", graphql_url(self.api_url), {"query": query, "variables": dict(variables)})
        errors = (answer.body or {}).get("errors")
        if errors:
            raise _graphql_trouble(errors, answer.headers)
        return answer.body["data"]

    def close(self) -> None:
        """Ends the connections."""
        self._requester.close()

    def _call(self, verb: str, path: str, parameters: Mapping[str, Any] | None, etag: str | None, body: Any) -> Answer:
        from github import GithubException
        from requests.exceptions import RequestException

        headers = {"Accept": "application/vnd.github+json"} | ({"If-None-Match": etag} if etag else {})
        try:
            status, told, text = self._requester.requestJson(verb, path, dict(parameters or {}), headers, body)
        except (RequestException, OSError) as error:
            raise Unreachable(f"GitHub does not answer: {type(error).__name__}") from error
        except GithubException as error:  # PyGithub looks at some answers itself, such as a token that is not minted
            raise trouble(error.status or 500, dict(error.headers or {}), json.dumps(error.data)) from error
        except (RuntimeError, AssertionError) as error:  # a redirect to another host, or in a circle
            raise Refused(f"GitHub's answer cannot be followed: {error}") from error
        self._note_budget(told)
        if 200 <= status < 300 or status == 304:
            return Answer(status, told, _decoded(text))
        raise trouble(status, told, text)

    def _note_budget(self, headers: Mapping[str, str]) -> None:
        numbers = [_number(headers.get(f"x-ratelimit-{name}")) for name in ("remaining", "limit", "reset")]
        remaining, limit, reset = numbers
        if remaining is not None and limit is not None and reset is not None:
            self.budget = Budget(remaining, limit, datetime.fromtimestamp(min(reset, 1 << 40), UTC))


def graphql_url(api_url: str) -> str:
    """Where GraphQL is asked: beside the REST API, `/api/v3` of an Enterprise Server becomes `/api/graphql`."""
    return f"{api_url.removesuffix('/v3')}/graphql"


def trouble(status: int, headers: Mapping[str, str], text: str) -> GitHubTrouble:
    """What an answer that is none means."""
    message = _message(text) or f"status {status}"
    if status == 401:
        return BadCredentials(f"GitHub does not accept the credentials: {message}")
    if status in (403, 429):
        return _limit(status, headers, message) or NotPermitted(f"GitHub refuses access: {message}")
    if status in (404, 410, 451):
        return NoAccess(f"GitHub shows nothing there: {message}")
    if status == 409:
        return EmptyRepository(message)
    if status in (301, 302, 307, 308):
        return Moved("GitHub has moved it")
    if status >= 500:
        return Unreachable(f"GitHub failed: {message}")
    return Refused(f"GitHub refuses: {message}")


def _limit(status: int, headers: Mapping[str, str], message: str) -> Paused | None:
    """The rate limit that an answer tells of. None: it is a matter of permission."""
    if (seconds := _number(headers.get("retry-after"))) is not None:
        return Paused("GitHub asks to wait (secondary rate limit)", timedelta(seconds=min(seconds, 86_400)))
    if headers.get("x-ratelimit-remaining") == "0" and (reset := _number(headers.get("x-ratelimit-reset"))):
        # By GitHub's clock: ours may differ.
        wait = min(reset - _clock(headers).timestamp() + 1, 86_400)
        return Paused("The hourly rate limit of GitHub is used up", timedelta(seconds=max(wait, 1)))
    words = message.lower()
    if status == 429 or "rate limit" in words or "abuse" in words:
        return Paused("GitHub asks to slow down (secondary rate limit)", None)
    return None


def _graphql_trouble(errors: Any, headers: Mapping[str, str]) -> GitHubTrouble:
    """GraphQL says no with status 200."""
    kinds = {str(error.get("type")) for error in errors if isinstance(error, dict)}
    message = "; ".join(str(error.get("message")) for error in errors[:3] if isinstance(error, dict))
    if "RATE_LIMITED" in kinds or "rate limit" in message.lower():
        return _limit(429, headers, message) or Paused("GitHub asks to slow down", None)
    if kinds & {"NOT_FOUND", "FORBIDDEN"}:
        return NoAccess(f"GitHub shows nothing there: {message}")
    if "timeout" in message.lower() or "something went wrong" in message.lower():
        return Unreachable(f"GitHub failed: {message}")
    return Refused(f"GitHub refuses the query: {message}")


def _clock(headers: Mapping[str, str]) -> datetime:
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _number(text: str | None) -> int | None:
    try:
        return int(float(text)) if text is not None else None
    except (ValueError, OverflowError):
        return None


def _message(text: str) -> str | None:
    body = _decoded(text)
    found = body.get("message") if isinstance(body, dict) else None
    return str(found)[:300] if found else None


def _decoded(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
