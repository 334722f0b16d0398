"""What Mist exports as a .env it reads as the same."""

from __future__ import annotations

from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.projects import dotenv
from apps.projects.environment_forms import PasteForm
from apps.projects.models import App
from apps.projects.services import variables_save

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
SPECIAL = st.text(st.sampled_from("'\"\\$#\n\r\t =`{}ab\ufeff\x0b\u2028"), max_size=15)


@given(st.dictionaries(NAMES, VALUES | SPECIAL, max_size=6))
def test_what_is_written_is_read_as_the_same(values: dict[str, str]) -> None:
    parsed = dotenv.parse(dotenv.dump(values))
    assert (parsed.values, parsed.errors) == (values, [])
    # As a browser sends it.
    sent = dotenv.dump(values).replace("\r\n", "\n").replace("\n", "\r\n")
    assert dotenv.parse(sent).values == values


@given(VALUES | SPECIAL)
def test_every_text_is_read_or_named_by_line(text: str) -> None:
    """Nothing that somebody pastes breaks the reading of it, and nothing is guessed."""
    parsed = dotenv.parse(text)
    lines = text.count("\n") + 1
    assert all(1 <= line <= lines and sentence for line, sentence in parsed.errors)
    assert all(dotenv.NAME.fullmatch(name) for name in parsed.values)
    assert dotenv.parse(dotenv.dump(parsed.values)).values == parsed.values


@given(st.text(max_size=12))
def test_a_name_is_letters_digits_and_underscores(name: str) -> None:
    wanted = name.isascii() and name.isidentifier()
    assert (dotenv.NAME.fullmatch(name) is not None) == wanted


def test_plain_values_stay_plain_for_other_tools() -> None:
    values = {"PORT": "8080", "EMPTY": "", "SPACED": "a b", "COST": "5$", "LINES": "a\n'b'"}
    assert dotenv.dump(values) == (
        "PORT=8080\nEMPTY=\nSPACED='a b'\nCOST='5$'\nLINES=\"a\\n'b'\"\n"
    )


def test_an_export_is_a_file_that_can_be_pasted(client: Client, web: App, alice: User) -> None:
    values = {"A": "plain", "B": "two\nlines", "C": 'it\'s "so" $HOME \\n'}
    variables_save(app=web, values=values, changed_by=None)
    client.force_login(alice)
    address = "/projects/shop/apps/web/environment/export/"
    answer = client.post(address)
    assert answer["Content-Disposition"] == 'attachment; filename="web.env"'
    assert "no-store" in answer["Cache-Control"]
    form = PasteForm({"text": answer.content.decode()}, app=web)
    assert form.is_valid() and form.values == values
    event = AuditEvent.objects.get(action="environment.export")
    assert event.after == {"names": ["A", "B", "C"]} and event.actor_name == "Alice Archer"
    assert client.get(address).status_code == 405
