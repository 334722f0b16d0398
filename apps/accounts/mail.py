"""Mail to one person."""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.mail import EmailMessage

logger = logging.getLogger("mist.mail")


def mail_is_set_up() -> bool:
    """Whether there is a mail server (`EMAIL_URL`)."""
    return bool(settings.EMAIL_URL)


def send_mail(*, to: str, subject: str, text: str) -> bool:
    """Hand one message to the mail server; False when there is none or it took nothing. Talks to
    the network, for up to EMAIL_TIMEOUT: never inside a transaction."""
    if not mail_is_set_up():
        return False
    try:
        return EmailMessage(subject, text, to=[to]).send() == 1
    except OSError as error:
        # All of SMTP's errors are. Their text may quote what was sent, so only the kind is told.
        logger.warning("The mail server took no mail: %s", type(error).__name__)
        return False
