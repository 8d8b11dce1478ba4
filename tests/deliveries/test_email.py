"""E-mails handed in to a real server; no database is behind them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from costlens.config import MailServer, SettingsError, load_settings
from costlens.deliveries.email import Mail, send_mails
from tests.e2e.servers import free_port
from tests.web.mail import mail_server


def settings_of(url: str, tmp_path: Path, **extra: str) -> MailServer:
    found = load_settings({"COSTLENS_DATA": str(tmp_path), "SMTP_URL": url} | extra).mail
    assert found is not None
    return found


def test_mails_over_one_connection(tmp_path: Path) -> None:
    with mail_server() as server:
        server.refused.add("nobody@example.com")
        where = settings_of(server.url, tmp_path, COSTLENS_BASE_URL="https://costlens.example")
        mails = [Mail(f"{name}@example.com", "Grüße", f"Hallo {name} ✓\n") for name in ("bob", "nobody", "dora")]
        told = send_mails(where, mails)
        assert (told[0], told[2]) == (None, None)
        assert told[1] == "nobody@example.com was refused: 550 No such mailbox"
        first = server.mails[0]
        assert [mail["To"] for mail in server.mails] == ["bob@example.com", "dora@example.com"]
        assert (first["From"], first["Subject"]) == ("CostLens <costlens@costlens.example>", "Grüße")
        assert first.get_content().split() == ["Hallo", "bob", "✓"]
        assert first["Message-ID"].endswith("@costlens.example>")


def test_nothing_is_added_to_a_mail_through_its_fields(tmp_path: Path) -> None:
    with mail_server() as server:
        where = settings_of(server.url, tmp_path)
        with pytest.raises(ValueError, match=r"linefeed|newline|header"):
            send_mails(where, [Mail("bob@example.com", "Hello\r\nBcc: evil@example.com", "x")])
        assert server.mails == []


def test_a_server_that_is_away(tmp_path: Path) -> None:
    where = settings_of(f"smtp://127.0.0.1:{free_port()}", tmp_path)
    told = send_mails(where, [Mail("bob@example.com", "x", "x")] * 2)
    assert [str(one).startswith("The mail server does not work") for one in told] == [True, True]


def test_no_password_goes_out_in_the_clear(tmp_path: Path) -> None:
    with mail_server(auth_require_tls=False) as server:
        where = settings_of(f"smtp://costlens:right@127.0.0.1:{server.port}", tmp_path)
        assert "STARTTLS" in str(send_mails(where, [Mail("bob@example.com", "x", "x")])[0])
        assert server.signed_in == []


def certificate(folder: Path) -> list[str]:
    """Files of a key and of a certificate for loopback, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    parts = {"key.pem": key.private_bytes(pem, *plain), "cert.pem": made.public_bytes(pem)}
    for file, content in parts.items():
        (folder / file).write_bytes(content)
    return [str(folder / file) for file in parts]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_tls_is_checked(tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    options = {"tls_context": context} if scheme == "smtp" else {"ssl_context": context, "auth_require_tls": False}
    with mail_server(**options) as server:
        where = settings_of(f"{scheme}://costlens:right@127.0.0.1:{server.port}", tmp_path)
        mails = [Mail("bob@example.com", "x", "x")]
        assert "certificate" in str(send_mails(where, mails)[0]).lower()  # nobody we know signed it
        monkeypatch.setenv("SSL_CERT_FILE", files[1])
        assert send_mails(where, mails) == [None]
        assert server.signed_in == [("costlens", "right")]
        wrong = settings_of(f"{scheme}://costlens:wrong@127.0.0.1:{server.port}", tmp_path)
        assert "535" in str(send_mails(wrong, mails)[0])


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SMTP_URL": "mail.example"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://user:s3cret@host:port"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://host", "SMTP_FROM": "nobody"}, "SMTP_FROM"),
        ({"SMTP_URL": "smtp://host", "SMTP_FROM": "a@b\nBcc: c@d"}, "SMTP_FROM"),
        ({"GITHUB_CLIENT_ID": "x"}, "GITHUB_CLIENT_SECRET"),
        ({"GITHUB_URL": "github.example"}, "GITHUB_URL"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as failed:
        load_settings({"COSTLENS_DATA": str(tmp_path)} | environment)
    assert "s3cret" not in str(failed.value)


def test_ports_and_names(tmp_path: Path) -> None:
    plain, tls = (settings_of(f"{scheme}://u%40x:p%2Fw@host", tmp_path) for scheme in ("smtp", "smtps"))
    assert (plain.port, plain.tls, tls.port, tls.tls) == (587, False, 465, True)
    assert (plain.user, plain.password) == ("u@x", "p/w")
