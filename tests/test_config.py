"""Settings from the environment, and the sentence for each that cannot be used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from costlens.config import SettingsError, load_settings


def test_defaults_need_only_a_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "new" / "var"
    settings = load_settings({"COSTLENS_DATA": str(data)})
    assert data.is_dir()
    assert settings.data == data
    assert settings.database_url == f"sqlite:///{data / 'costlens.db'}"
    assert settings.redis_url is None
    assert settings.queue_url == f"unix://{data / 'queue.sock'}"
    assert settings.base_url == "http://127.0.0.1:8787"
    assert settings.default_plan == "self-hosted"
    assert (settings.web_workers, settings.max_body_bytes) == (1, 10 * 1024 * 1024)


def test_every_setting_is_taken_from_the_environment(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "COSTLENS_DATA": str(tmp_path),
            "DATABASE_URL": "postgresql+psycopg://u@db/costlens",
            "REDIS_URL": "rediss://queue:6380/2",
            "COSTLENS_SECRET_KEY": "s" * 40,
            "COSTLENS_BASE_URL": "https://ai.example.com/",
            "COSTLENS_DEFAULT_PLAN": "pro",
            "COSTLENS_WEB_WORKERS": "4",
            "COSTLENS_MAX_BODY_BYTES": "2048",
        }
    )
    assert settings.database_url == "postgresql+psycopg://u@db/costlens"
    assert settings.queue_url == settings.redis_url == "rediss://queue:6380/2"
    assert settings.secret_key == "s" * 40
    assert settings.base_url == "https://ai.example.com"
    assert settings.default_plan == "pro"
    assert (settings.web_workers, settings.max_body_bytes) == (4, 2048)
    assert not (tmp_path / "secret-key").exists()


def test_an_empty_setting_is_one_that_is_not_set(tmp_path: Path) -> None:
    names = ("DATABASE_URL", "REDIS_URL", "COSTLENS_SECRET_KEY", "COSTLENS_BASE_URL", "COSTLENS_WEB_WORKERS")
    only = {"COSTLENS_DATA": str(tmp_path)}
    assert load_settings(only | dict.fromkeys(names, "")) == load_settings(only)


def test_a_relative_data_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).data == tmp_path / "var"


def test_the_secret_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    env = {"COSTLENS_DATA": str(tmp_path)}
    first = load_settings(env).secret_key
    assert len(first) == 64
    assert load_settings(env).secret_key == first
    assert load_settings({"COSTLENS_DATA": str(tmp_path / "other")}).secret_key != first
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("secret-key*")] == ["secret-key"]


def test_a_file_may_hold_a_value(tmp_path: Path) -> None:
    (tmp_path / "redis").write_text("redis://queue/1\n")
    settings = load_settings({"COSTLENS_DATA": str(tmp_path), "REDIS_URL_FILE": str(tmp_path / "redis")})
    assert settings.redis_url == "redis://queue/1"


def test_a_long_data_folder_gets_a_short_socket_of_its_own(tmp_path: Path) -> None:
    sockets = set()
    for name in ("a" * 100, "b" * 100):
        settings = load_settings({"COSTLENS_DATA": str(tmp_path / name)})
        sockets.add(settings.queue_socket)
        assert len(str(settings.queue_socket)) <= 100
    assert len(sockets) == 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("COSTLENS_BASE_URL", "foo", "COSTLENS_BASE_URL: 'foo' is not an http or https address"),
        ("COSTLENS_BASE_URL", "ftp://host", "COSTLENS_BASE_URL: 'ftp://host' is not an http or https address"),
        ("COSTLENS_BASE_URL", "http://", "COSTLENS_BASE_URL: "),
        ("REDIS_URL", "queue:6379", "REDIS_URL: 'queue:6379' does not begin with redis://, rediss:// or unix://"),
        (
            "COSTLENS_DEFAULT_PLAN",
            "gold",
            "COSTLENS_DEFAULT_PLAN: 'gold' is not one of free, starter, pro, enterprise, self-hosted",
        ),
        ("COSTLENS_PLANS", "/nonexistent", "COSTLENS_PLANS: cannot read /nonexistent: No such file"),
        ("COSTLENS_WEB_WORKERS", "0", "COSTLENS_WEB_WORKERS: '0' is not a whole number from 1 to 64"),
        ("COSTLENS_WEB_WORKERS", "two", "COSTLENS_WEB_WORKERS: 'two' is not a whole number"),
        ("COSTLENS_WEB_WORKERS", "²", "COSTLENS_WEB_WORKERS: '²' is not a whole number"),
        ("COSTLENS_MAX_BODY_BYTES", "-1", "COSTLENS_MAX_BODY_BYTES: '-1' is not a whole number"),
        (
            "COSTLENS_SECRET_KEY_FILE",
            "/nonexistent",
            "COSTLENS_SECRET_KEY_FILE: cannot read /nonexistent: No such file",
        ),
        ("COSTLENS_SECRET_KEY_FILE", "/", "COSTLENS_SECRET_KEY_FILE: cannot read /: Is a directory"),
        ("COSTLENS_DATA", "/proc/none", "COSTLENS_DATA: cannot make the folder /proc/none: "),
        ("DATABASE_URL", "nonsense", "DATABASE_URL: "),
        ("DATABASE_URL", "mysql://alice:hunter2@host/x", "DATABASE_URL: 'mysql' is neither sqlite nor postgresql"),
        ("COSTLENS_SECRET_KEY", "short", "COSTLENS_SECRET_KEY: "),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"COSTLENS_DATA": str(tmp_path), name: value})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="COSTLENS_SECRET_KEY_FILE: cannot read"):
        load_settings({"COSTLENS_DATA": str(tmp_path), "COSTLENS_SECRET_KEY_FILE": str(tmp_path / "key")})


def test_a_stored_secret_that_was_cut_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("short")
    with pytest.raises(SettingsError, match="fewer than 32 characters"):
        load_settings({"COSTLENS_DATA": str(tmp_path)})


def test_plans_come_from_one_file(tmp_path: Path) -> None:
    plans = load_settings({"COSTLENS_DATA": str(tmp_path)}).plans
    shown = {
        plan.name: (plan.requests_per_minute, plan.batch_size, plan.batches_per_minute, plan.runs_per_month)
        for plan in plans.values()
    }
    assert shown == {
        "free": (60, 10, 5, 1_000),
        "starter": (300, 25, 10, 10_000),
        "pro": (1_000, 50, 20, None),
        "enterprise": (5_000, 200, 100, None),
        "self-hosted": (None, 1_000, None, None),
    }


def test_an_own_file_of_plans(tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text("[house]\nbatch_size = 7\nruns_per_month = 70\n")
    given = {"COSTLENS_DATA": str(tmp_path), "COSTLENS_PLANS": str(tmp_path / "plans.toml")}
    settings = load_settings(given | {"COSTLENS_DEFAULT_PLAN": "house"})
    assert (settings.plan("house").batch_size, settings.plan("house").runs_per_month) == (7, 70)
    # An organization may be on a plan that the file no longer has.
    gone = settings.plan("free")
    assert (gone.name, gone.requests_per_minute, gone.runs_per_month) == ("free", None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no plan"),
        ("[free", "is not TOML"),
        ("free = 5", "free is not a plan"),
        ("[free]", r"\[free\] needs batch_size"),
        ("[free]\nbatch_size = 0", r"\[free\] batch_size must be a whole number"),
        ("[free]\nbatch_size = true", r"\[free\] batch_size must be a whole number"),
        ("[free]\nbatch_size = 5\nrunsPerMonth = 5", r"\[free\] runsPerMonth is none of"),
    ],
)
def test_a_file_of_plans_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plans.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings({"COSTLENS_DATA": str(tmp_path), "COSTLENS_PLANS": str(tmp_path / "plans.toml")})
