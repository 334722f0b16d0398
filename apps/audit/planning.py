"""What the audit trail says in words, and as lines of a file. Nothing here asks the database."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from apps.audit.models import AuditEvent

ACTIONS: dict[str, str] = {
    "project.create": "created the project",
    "project.delete": "deleted the project",
    "app.create": "created the app",
    "app.update": "changed settings of",
    "app.delete": "deleted the app",
    "app.stop": "stopped",
    "app.start": "started",
    "app.restart": "restarted",
    "variable.create": "added the variable",
    "variable.change": "changed the variable",
    "variable.delete": "deleted the variable",
    "variable.reveal": "looked at the value of",
    "volume.add": "added the volume",
    "volume.remove": "removed the volume",
    "host_port.add": "opened the server port",
    "host_port.remove": "closed the server port",
    "git_token.save": "saved an access token for",
    "deploy_key.make": "made a deploy key for",
    "git_credential.remove": "removed what opens the repository of",
    "known_host.confirm": "confirmed the SSH server",
    "known_host.replace": "replaced the keys of the SSH server",
    "known_host.remove": "forgot the SSH server",
    "domain.add": "added the domain",
    "domain.change": "changed the domain",
    "domain.move": "moved to another app the domain",
    "domain.remove": "removed the domain",
    "traffic.change": "changed traffic rules of",
    "traffic.part": "gave traffic rules of its own to",
    "traffic.join": "took the traffic rules of its own from",
    "traffic_user.add": "let in with a password the visitor",
    "traffic_user.change": "gave another password to the visitor",
    "traffic_user.remove": "no longer lets in the visitor",
    "name.check": "checked the DNS of",
    "base_domain.change": "changed the base domain to",
    "dashboard_name.try": "asked for the dashboard's name",
    "dashboard_name.confirm": "confirmed the dashboard's name",
    "dashboard_name.revert": "took back, since nobody came by it, the dashboard's name",
    "dashboard_name.drop": "took away the dashboard's name",
    "dashboard_name.https": "changed how HTTPS is answered by the dashboard's name",
    "app.https": "changed how HTTPS is answered by",
    "app.check_https": "had the certificates looked at of",
    "certificate.add": "added the certificate for",
    "certificate.replace": "replaced the certificate for",
    "certificate.remove": "removed the certificate for",
    "deployment.request": "asked for the deployment",
    "deployment.apply": "applied changes with",
    "deployment.rollback": "rolled back with",
    "deployment.cancel": "cancelled",
    "deployment.pin": "pinned the image of",
    "deployment.unpin": "unpinned the image of",
    "clean_up.request": "asked for",
    "clean_up.finish": "finished",
    "instance.claim": "set up this Mist and became its first owner,",
    "user.create": "created the account of",
    "user.update": "changed the account of",
    "user.delete": "deleted the account of",
    "user.login": "logged in as",
    "user.login_fail": "failed to log in as",
    "user.logout": "logged out as",
    "user.confirm_fail": "failed to confirm to be",
    "password.change": "changed the password of",
    "password.request": "asked for a new password for",
    "password.reset": "set a new password for",
    "second_factor.add": "added a second factor of",
    "second_factor.remove": "removed a second factor of",
    "second_factor.reset": "removed every second factor of",
    "recovery_codes.make": "made recovery codes for",
    "recovery_code.use": "used a recovery code of",
    "session.end": "ended a session of",
    "user.activate": "activated the account of",
    "user.deactivate": "deactivated the account of",
    "invitation.create": "invited",
    "invitation.accept": "accepted the invitation of",
    "invitation.revoke": "took back the invitation of",
    "member.add": "took in as a member",
    "member.change": "changed the role of",
    "member.remove": "removed the member",
    "member.leave": "left, as the member",
    "project.transfer": "handed on the project",
    "shared_variable.create": "added the shared variable",
    "shared_variable.update": "changed the shared variable",
    "shared_variable.delete": "deleted the shared variable",
    "shared_variable.reveal": "looked at the value of the shared variable",
    "environment.export": "exported the variables of",
    "encryption_key.rotate": "rotated the",
    "webhook.create": "made the webhook",
    "webhook.rotate": "made a new secret for the webhook",
    "webhook.delete": "removed the webhook",
    "deploy_hook.create": "made the deploy hook",
    "deploy_hook.revoke": "revoked the deploy hook",
    "delivery.replay": "carried out again the delivery",
    "token.create": "made the API token",
    "token.revoke": "revoked the API token",
    "github_app.begin": "began to make the GitHub App",
    "github_app.create": "made the GitHub App",
    "github_app.delete": "deleted the GitHub App",
    "installation.add": "found the GitHub installation",
    "installation.suspend": "found suspended the GitHub installation",
    "installation.resume": "found no longer suspended the GitHub installation",
    "installation.remove": "found removed the GitHub installation",
    "installation.open": "changed which projects use the GitHub installation",
    "acme.change": "changed the settings of",
    "dns_account.add": "added the credentials for the DNS provider",
    "dns_account.change": "changed the credentials for the DNS provider",
    "dns_account.remove": "removed the credentials for the DNS provider",
    "certificate.retry": "asked again for a certificate for",
    "registry.add": "added the login for",
    "registry.change": "changed the login for",
    "registry.remove": "removed the login for",
    "registry.test": "tested the login for",
    "image.check": "asked the registry for the image of",
    "audit.export": "exported the audit trail of",
    "audit.forget": "forgot old events of",
}
"""Every action that is recorded → what its actor did to the thing named after it."""


def words_for(action: str) -> str:
    """The action as a sentence has it; as it is written down where Mist no longer knows it."""
    return ACTIONS.get(action, f"did {action} to")


def action_groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """The actions by thing: (`Variable`, [(`variable.reveal`, `reveal`), …])."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for action in ACTIONS:
        thing, _, verb = action.partition(".")
        name = thing.replace("_", " ").capitalize()
        groups.setdefault(name, []).append((action, verb.replace("_", " ")))
    return sorted(groups.items())


COLUMNS = (
    *("id", "at", "actor_kind", "actor_id", "actor_name", "via", "action"),
    *("thing_type", "thing_id", "thing_name", "project_id", "project_name"),
    *("before", "after", "address", "agent", "request_id"),
)


def event_facts(event: AuditEvent) -> dict[str, Any]:
    """One event, as an export has it."""
    return {name: getattr(event, name) for name in COLUMNS} | {"at": event.at.isoformat()}


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: object) -> str:
    """Text that a spreadsheet does not take for a formula: with an apostrophe before it where it
    begins as one (OWASP "CSV Injection")."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


class _Line:
    """What a CSV writer writes to: keeps one line."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def csv_lines(events: Iterable[AuditEvent]) -> Iterator[str]:
    """A header, then a line for each event; every cell quoted."""
    line = _Line()
    writer = csv.writer(line, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    yield line.text
    for event in events:
        facts = event_facts(event)
        for name in ("before", "after"):
            facts[name] = json.dumps(facts[name], ensure_ascii=False) if facts[name] else ""
        writer.writerow([safe_cell(value) for value in facts.values()])
        yield line.text


def json_lines(events: Iterable[AuditEvent]) -> Iterator[str]:
    """One JSON array, an event a line."""
    before = "[\n"
    for event in events:
        yield before + json.dumps(event_facts(event), ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
