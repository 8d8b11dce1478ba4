"""Settings: one typed object from the environment, and a loud failure for what cannot be used.

Any NAME may instead be given as NAME_FILE, the path of a file with the value (for secrets).
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from costlens.domain.plans import DEFAULT_BATCH, Plan, read_plans

SECRET_LENGTH = 32  # the least
TOKEN_LENGTH = 16  # the least
_PLANS = Path(__file__).with_name("plans.toml")


class SettingsError(Exception):
    """A setting cannot be used; the message names it and says what it takes."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where e-mails are handed in, and who they are from."""

    host: str
    port: int
    tls: bool  # from the first byte; else STARTTLS where the server offers it, and always before a password is sent
    user: str | None  # None: without signing in
    password: str | None
    sender: str  # an address, or `Name <address>`


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path
    database_url: str
    redis_url: str | None  # None: `costlens up` starts its own Valkey in the data folder
    secret_key: str
    old_secret_keys: tuple[str, ...]  # what was sealed with them can still be read
    base_url: str
    plans: Mapping[str, Plan]
    default_plan: str
    web_workers: int
    max_body_bytes: int
    github_url: str
    github_api_url: str
    github_source: str  # graphql, rest
    github_horizon_days: int
    github_client_id: str | None  # None: no sign-in with GitHub
    github_client_secret: str | None  # None: no sign-in with GitHub
    mail: MailServer | None  # None: no e-mails, links are copied
    metrics_token: str | None  # None: GET /metrics is off

    def plan(self, name: str) -> Plan:
        """What a plan allows; one that the file of plans no longer names limits nothing."""
        return self.plans.get(name) or Plan(name, DEFAULT_BATCH)

    @property
    def queue_socket(self) -> Path:
        """Where the embedded Valkey listens; a socket path over 100 bytes stops it."""
        path = self.data / "queue.sock"
        if len(os.fsencode(path)) <= 100:
            return path
        return Path(f"/tmp/costlens-{os.getuid()}") / f"{_digest(str(self.data))}.sock"

    @property
    def queue_url(self) -> str:
        return self.redis_url or f"unix://{self.queue_socket}"

    @property
    def github_sign_in(self) -> bool:
        """Whether people sign in with GitHub; else with e-mail and password."""
        return self.github_client_id is not None


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; makes the data folder and its secret on first use. Raises SettingsError."""
    env = os.environ if environment is None else environment
    data = Path(_value(env, "COSTLENS_DATA") or "var").expanduser().absolute()
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"COSTLENS_DATA: cannot make the folder {data}: {error.strerror}") from error
    base_url = _address("COSTLENS_BASE_URL", _value(env, "COSTLENS_BASE_URL") or "http://127.0.0.1:8787")
    plan = _value(env, "COSTLENS_DEFAULT_PLAN") or "self-hosted"
    plans = _plans(_value(env, "COSTLENS_PLANS"))
    if plan not in plans:
        raise SettingsError(f"COSTLENS_DEFAULT_PLAN: {plan!r} is not one of {', '.join(plans)}")
    client_id, client_secret = _value(env, "GITHUB_CLIENT_ID"), _value(env, "GITHUB_CLIENT_SECRET")
    if (client_id is None) != (client_secret is None):
        raise SettingsError("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET: one is of no use without the other")
    return Settings(
        data=data,
        database_url=_database_url(_value(env, "DATABASE_URL")) or f"sqlite:///{data / 'costlens.db'}",
        redis_url=_redis_url(_value(env, "REDIS_URL")),
        secret_key=_given_secret(_value(env, "COSTLENS_SECRET_KEY")) or _stored_secret(data / "secret-key"),
        base_url=base_url,
        plans=plans,
        default_plan=plan,
        web_workers=_number(env, "COSTLENS_WEB_WORKERS", default=1, low=1, high=64),
        max_body_bytes=_number(env, "COSTLENS_MAX_BODY_BYTES", default=10 * 1024 * 1024, low=1024, high=1 << 30),
        github_url=_address("GITHUB_URL", _value(env, "GITHUB_URL") or "https://github.com"),
        github_api_url=_address("GITHUB_API_URL", _value(env, "GITHUB_API_URL") or "https://api.github.com"),
        github_client_id=client_id,
        github_client_secret=client_secret,
        mail=_mail_server(_value(env, "SMTP_URL"), _value(env, "SMTP_FROM"), base_url),
        metrics_token=_token("COSTLENS_METRICS_TOKEN", _value(env, "COSTLENS_METRICS_TOKEN")),
        github_source=_choice("COSTLENS_GITHUB_SOURCE", _value(env, "COSTLENS_GITHUB_SOURCE"), "graphql", "rest"),
        github_horizon_days=_number(env, "COSTLENS_GITHUB_HORIZON_DAYS", default=180, low=1, high=7_300),
        old_secret_keys=tuple((_value(env, "COSTLENS_OLD_SECRET_KEYS") or "").replace(",", " ").split()),
    )


def _value(env: Mapping[str, str], name: str) -> str | None:
    if path := env.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{name}_FILE: cannot read {path}: it is not text") from error
    return env.get(name) or None


def _address(name: str, text: str) -> str:
    """An address without a slash at its end."""
    address = text.rstrip("/")
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).netloc:
        raise SettingsError(f"{name}: {address!r} is not an http or https address")
    return address


def _mail_server(text: str | None, sender: str | None, base_url: str) -> MailServer | None:
    if text is None:
        return None
    # The address may hold a password: no message shows it.
    wrong = SettingsError("SMTP_URL: it is smtp://user:password@host:587 or smtps://user:password@host:465")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
        raise wrong
    tls = parts.scheme == "smtps"
    sender = sender or f"CostLens <costlens@{urlsplit(base_url).hostname}>"
    if "@" not in sender or not sender.isprintable():
        raise SettingsError(f"SMTP_FROM: {sender!r} is neither an e-mail address nor `Name <address>`")
    return MailServer(
        host=parts.hostname,
        port=port or (465 if tls else 587),
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sender=sender,
    )


def _choice(name: str, text: str | None, *choices: str) -> str:
    """One of the choices; the first is the default."""
    if text is not None and text not in choices:
        raise SettingsError(f"{name}: {text!r} is not one of {', '.join(choices)}")
    return text or choices[0]


def _token(name: str, text: str | None) -> str | None:
    if text is not None and (len(text) < TOKEN_LENGTH or not text.isascii() or not text.isprintable() or " " in text):
        raise SettingsError(f"{name}: it has {TOKEN_LENGTH} or more ASCII characters and no spaces")
    return text


def _number(env: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = _value(env, name)
    if text is None:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise SettingsError(f"{name}: {text!r} is not a whole number from {low} to {high}")
    return int(text)


def _plans(given: str | None) -> dict[str, Plan]:
    path = Path(given).expanduser() if given else _PLANS
    try:
        return read_plans(path.read_text())
    except OSError as error:
        raise SettingsError(f"COSTLENS_PLANS: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"COSTLENS_PLANS: {path}: {error}") from error


def _database_url(text: str | None) -> str | None:
    if text is not None and not text.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
        # The rest of the address may hold a password.
        raise SettingsError(f"DATABASE_URL: {text.partition(':')[0]!r} is neither sqlite nor postgresql")
    return text


def _given_secret(text: str | None) -> str | None:
    if text is not None and len(text) < SECRET_LENGTH:
        raise SettingsError(f"COSTLENS_SECRET_KEY: fewer than {SECRET_LENGTH} characters are too easy to guess")
    return text


def _redis_url(text: str | None) -> str | None:
    if text is not None and urlsplit(text).scheme not in ("redis", "rediss", "unix"):
        raise SettingsError(f"REDIS_URL: {text!r} does not begin with redis://, rediss:// or unix://")
    return text


def _stored_secret(path: Path) -> str:
    """The secret kept in the data folder, made on first use; two processes that start at once agree on one."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(draft, path)  # fails when another process was faster: its secret holds
        draft.unlink()
    secret = path.read_text().strip()
    if len(secret) < SECRET_LENGTH:
        raise SettingsError(
            f"COSTLENS_SECRET_KEY: {path} holds fewer than {SECRET_LENGTH} characters; delete it to make a new one"
        )
    return secret


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
