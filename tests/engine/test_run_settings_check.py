"""Commands and expected statuses as people type them."""

from __future__ import annotations

import pytest

from apps.engine.errors import InvalidSource
from apps.engine.run_settings import check_statuses, is_expected, split_command


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("python manage.py migrate --noinput", ("python", "manage.py", "migrate", "--noinput")),
        ("sh -c 'cd /app && ./run \"$A\"'", ("sh", "-c", 'cd /app && ./run "$A"')),
        ("echo $HOME;id|sh", ("echo", "$HOME;id|sh")),
    ],
)
def test_a_command_is_split_and_nothing_else(text: str, words: tuple[str, ...]) -> None:
    assert split_command(text) == words


@pytest.mark.parametrize("text", ["echo 'a", "echo a\\", '"" x', "a\nb", "a" * 1001])
def test_a_command_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSource):
        split_command(text)


@pytest.mark.parametrize(
    ("text", "clean", "good", "bad"),
    [
        ("200", "200", [200], [201, 199]),
        ("200-399", "200-399", [200, 302, 399], [400, 199]),
        (" 200, 204 ,301 - 303", "200,204,301-303", [204, 302], [205, 304]),
    ],
)
def test_statuses_are_numbers_and_ranges(
    text: str, clean: str, good: list[int], bad: list[int]
) -> None:
    assert check_statuses(text) == clean
    assert all(is_expected(clean, status) for status in good)
    assert not any(is_expected(clean, status) for status in bad)


@pytest.mark.parametrize("text", ["", "2xx", "099", "600", "300-200", "200,", "200-300-400"])
def test_other_statuses_are_refused(text: str) -> None:
    with pytest.raises(InvalidSource, match="200-399"):
        check_statuses(text)
