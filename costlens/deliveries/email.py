"""E-mails, handed in to a mail server."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr

from costlens.config import MailServer

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail of plain text."""

    to: str
    subject: str
    text: str
    stop_url: str | None = None  # a POST there ends such e-mails. None: they come one by one


def send_mails(server: MailServer, mails: Sequence[Mail]) -> list[str | None]:
    """Hands mails in over one connection; answers for each why it was not taken, None where it was."""
    return list(send_one_by_one(server, mails))


def send_one_by_one(server: MailServer, mails: Sequence[Mail]) -> Iterator[str | None]:
    """The same, each answered before the next goes out."""
    answered = 0
    try:
        with _connect(server) as connection:
            for mail in mails:
                answer = _send(connection, server, mail)
                answered += 1
                yield answer
    except (OSError, smtplib.SMTPException) as error:
        yield from [f"The mail server does not work: {_words(error)}"] * (len(mails) - answered)


def _connect(server: MailServer) -> smtplib.SMTP:
    context = ssl.create_default_context()  # without one, smtplib believes any certificate
    where = server.host, server.port
    connection = (
        smtplib.SMTP_SSL(*where, timeout=TIMEOUT_SECONDS, context=context)
        if server.tls
        else smtplib.SMTP(*where, timeout=TIMEOUT_SECONDS)
    )
    try:
        connection.ehlo()
        if not server.tls and (connection.has_extn("starttls") or server.password):
            connection.starttls(context=context)
            connection.ehlo()
        if server.user:
            connection.login(server.user, server.password or "")
    except BaseException:
        connection.close()
        raise
    return connection


def _send(connection: smtplib.SMTP, server: MailServer, mail: Mail) -> str | None:
    message = EmailMessage()
    message["From"] = server.sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(server.sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    if mail.stop_url:
        message["List-Unsubscribe"] = f"<{mail.stop_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    try:
        connection.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        return f"{mail.to} was refused: {_words(next(iter(error.recipients.values())))}"
    except smtplib.SMTPResponseException as error:
        return f"The mail was refused: {_words(error)}"
    return None


def _words(error: object) -> str:
    """What the mail server said."""
    if isinstance(error, smtplib.SMTPResponseException):
        error = (error.smtp_code, error.smtp_error)
    if isinstance(error, tuple) and len(error) == 2:
        text = error[1].decode(errors="replace") if isinstance(error[1], bytes) else str(error[1])
        return f"{error[0]} {text}"[:200]
    return str(error)[:200]
