"""Changing an app's environment on its page: nothing typed is lost, nothing hidden is shown."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.projects.models import App, EnvironmentVariable
from apps.projects.services import variables_save

E = "/projects/shop/apps/web/environment/"
SECRET = "value-that-nobody-may-see"
VALUES = [
    "plain",
    "a=b=c",
    "$HOME ${X} $$ `id` $(id)",
    "  spaces around  ",
    "line 1\nline 2\n\nline 4\n",
    "\nbegins with a line end",
    "tab\there",
    "'single' \"double\" \\n stays",
    "# no comment",
    "ümläut 漢字 🎉",
    "<b>&amp;</b></textarea>",
    "",
]


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def stored(app: App) -> dict[str, str]:
    return {v.name: v.value for v in EnvironmentVariable.objects.filter(app=app)}


@pytest.mark.parametrize("value", VALUES)
def test_a_value_arrives_byte_for_byte(inside: Client, web: App, value: str) -> None:
    # What a browser sends of a textarea: each line end is two characters.
    answer = inside.post(
        f"{E}save/", {"name": "V", "value": value.replace("\n", "\r\n"), "at_runtime": "on"}
    )
    assert answer.status_code == 302
    assert stored(web) == {"V": value}


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_revealed_as_it_is(inside: Client, web: App, value: str) -> None:
    variables_save(app=web, values={"V": value, "OTHER": SECRET}, changed_by=None)
    pk = web.variables.get(name="V").pk
    for headers in ({}, {"HX-Request": "true"}):
        answer = inside.post(f"{E}{pk}/reveal/", headers=headers)
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
        page = answer.content.decode()
        assert SECRET not in page
        if value and "&" not in value and "'" not in value:
            assert value in page
    assert "<b>" not in page


def test_revealing_takes_a_post(inside: Client, web: App) -> None:
    variables_save(app=web, values={"V": SECRET}, changed_by=None)
    answer = inside.get(f"{E}{web.variables.get().pk}/reveal/")
    assert answer.status_code == 405
    assert SECRET not in answer.content.decode()


def test_an_empty_value_keeps_the_value_there_is(inside: Client, web: App, alice: User) -> None:
    variables_save(app=web, values={"V": SECRET}, changed_by=None)
    pk = web.variables.get().pk
    inside.post(f"{E}save/", {"variable": pk, "value": "", "at_build": "on"})
    variable = web.variables.get()
    assert (variable.value, variable.at_runtime, variable.at_build) == (SECRET, False, True)
    assert variable.changed_by == alice


def test_the_form_to_change_a_variable_does_not_hold_its_value(inside: Client, web: App) -> None:
    variables_save(app=web, values={"V": SECRET}, changed_by=None)
    page = inside.get(E, {"edit": web.variables.get().pk}).content.decode()
    assert "New value" in page
    assert SECRET not in page


def test_a_variable_of_another_app_is_not_there(inside: Client, web: App, alice: User) -> None:
    other = App.objects.create(project=web.project, slug="api", label="api-shop", repository="x")
    variables_save(app=other, values={"V": SECRET}, changed_by=None)
    pk = other.variables.get().pk
    assert inside.post(f"{E}{pk}/reveal/").status_code == 404
    assert inside.post(f"{E}{pk}/delete/").status_code == 404
    assert inside.post(f"{E}save/", {"variable": pk, "value": "x"}).status_code == 404
    assert inside.get(E, {"edit": pk}).status_code == 404
    assert stored(other) == {"V": SECRET}


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "ä", "A" * 201, "A\n"])
def test_a_bad_name_is_told_and_the_value_is_kept(inside: Client, web: App, name: str) -> None:
    answer = inside.post(f"{E}save/", {"name": name, "value": "typed-in", "at_runtime": "on"})
    page = answer.content.decode()
    if name == "A\n":  # A line end at the end is trimmed.
        assert stored(web) == {"A": "typed-in"}
        return
    assert answer.status_code == 200
    assert 'role="alert"' in page and "typed-in" in page
    assert stored(web) == {}


def test_adding_a_variable_that_is_there_changes_nothing(inside: Client, web: App) -> None:
    variables_save(app=web, values={"V": "old"}, changed_by=None)
    answer = inside.post(f"{E}save/", {"name": "V", "value": "new", "at_runtime": "on"})
    assert "There is a variable V already" in answer.content.decode()
    assert stored(web) == {"V": "old"}


def test_a_variable_is_used_somewhere(inside: Client, web: App) -> None:
    page = inside.post(f"{E}save/", {"name": "V", "value": "x"}).content.decode()
    assert "Choose run time, build time or both." in page
    assert stored(web) == {}


def test_a_pasted_env_arrives_byte_for_byte(inside: Client, web: App) -> None:
    text = (
        "# comment\r\nexport A=1\r\nB='x $HOME # y'\r\nC=\"line 1\r\nline 2\"\r\n"
        'D="a\\nb"\r\nE=a=b$c # gone\r\nF=\r\n'
    )
    assert inside.post(f"{E}paste/", {"text": text}).status_code == 302
    assert stored(web) == {
        "A": "1",
        "B": "x $HOME # y",
        "C": "line 1\nline 2",
        "D": "a\nb",
        "E": "a=b$c",
        "F": "",
    }


def test_a_paste_with_a_bad_line_saves_nothing_and_keeps_the_text(inside: Client, web: App) -> None:
    variables_save(app=web, values={"OLD": "1"}, changed_by=None)
    text = "GOOD=1\nPAYMENT HOOK=1\n<script>\n"
    page = inside.post(f"{E}paste/", {"text": text, "remove_others": "on"}).content.decode()
    assert "Line 2: A name cannot contain a space." in page
    assert "Line 3: " in page
    assert "GOOD=1\nPAYMENT HOOK=1\n&lt;script&gt;" in page
    assert stored(web) == {"OLD": "1"}


@pytest.mark.parametrize("text", ["", "   \n", "# only a comment\n"])
def test_a_paste_without_variables_removes_nothing(inside: Client, web: App, text: str) -> None:
    variables_save(app=web, values={"OLD": "1"}, changed_by=None)
    answer = inside.post(f"{E}paste/", {"text": text, "remove_others": "on"})
    assert answer.status_code == 200
    assert stored(web) == {"OLD": "1"}


@pytest.mark.parametrize(
    ("extra", "left"), [({}, {"OLD", "NEW"}), ({"remove_others": "on"}, {"NEW"})]
)
def test_a_paste_removes_others_only_when_asked(
    inside: Client, web: App, extra: dict[str, str], left: set[str]
) -> None:
    variables_save(app=web, values={"OLD": "1"}, changed_by=None)
    inside.post(f"{E}paste/", {"text": "NEW=1", **extra})
    assert set(stored(web)) == left


def test_a_deleted_variable_is_gone(inside: Client, web: App) -> None:
    variables_save(app=web, values={"A": "1", "B": "2"}, changed_by=None)
    inside.post(f"{E}{web.variables.get(name='A').pk}/delete/")
    assert stored(web) == {"B": "2"}


@pytest.mark.parametrize("path", ["save/", "paste/"])
def test_changes_take_a_post(inside: Client, web: App, path: str) -> None:
    assert inside.get(E + path).status_code == 405
