"""What people type about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password

from apps.accounts.models import User

PASSWORD_MAX = 1_000
"""Characters. Nobody types more, and hashing a megabyte is work that a stranger may not order."""
LENGTH_RULE = "At least 12 characters. A few random words work well."


def password_field(label: str, autocomplete: str, *, rule: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        max_length=PASSWORD_MAX,
        help_text=rule,
        error_messages={"required": f"Type the {label.lower()}."},
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete}),
    )


class SetupForm(forms.Form):
    """The first administrator."""

    name = forms.CharField(
        max_length=100,
        error_messages={"required": "Say who you are, for example Ingrid Solberg."},
        widget=forms.TextInput(attrs={"autocomplete": "name", "data-size": "lg"}),
    )
    email = forms.EmailField(
        max_length=254,
        error_messages={"invalid": "An email address looks like ingrid@example.com."},
        widget=forms.EmailInput(attrs={"autocomplete": "username", "data-size": "lg"}),
    )
    password = password_field("Password", "new-password", rule=LENGTH_RULE)

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    def clean_password(self) -> str:
        given = self.cleaned_data
        user = User(email=given.get("email", ""), name=given.get("name", ""))
        validate_password(given["password"], user)
        return str(given["password"])


class LoginForm(forms.Form):
    """Only that something was typed: whether it fits is the view's question, answered the same
    for an unknown address and a wrong password."""

    email = forms.CharField(
        max_length=254,
        error_messages={"required": "Type your email address."},
        widget=forms.EmailInput(attrs={"autocomplete": "username", "data-size": "lg"}),
    )
    password = password_field("Password", "current-password")


class AccountForm(forms.Form):
    """What others see of a person."""

    name = forms.CharField(
        max_length=100,
        error_messages={"required": "Say who you are, for example Ingrid Solberg."},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class PasswordForm(forms.Form):
    """A new password, given by who knows the current one."""

    current = password_field("Current password", "current-password")
    new = password_field("New password", "new-password", rule=LENGTH_RULE)

    def __init__(self, data: Mapping[str, Any] | None = None, *, user: User) -> None:
        super().__init__(data)
        self.user = user

    def clean_current(self) -> str:
        current = str(self.cleaned_data["current"])
        if not self.user.check_password(current):
            raise forms.ValidationError("This is not your current password.")
        return current

    def clean_new(self) -> str:
        new = str(self.cleaned_data["new"])
        validate_password(new, self.user)
        return new


class CodeForm(forms.Form):
    """A code of an app, or a recovery code."""

    code = forms.CharField(
        max_length=40,
        error_messages={"required": "Type the code."},
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "numeric",
                "spellcheck": "false",
                "data-size": "lg",
            }
        ),
    )


class ConfirmForm(forms.Form):
    """The password again, by who is logged in."""

    password = password_field("Password", "current-password")


class PasskeyForm(forms.Form):
    """A passkey that a browser has made."""

    name = forms.CharField(
        label="Name",
        max_length=60,
        initial="Passkey",
        help_text="So that you know it again, for example the device it is kept on.",
        error_messages={"required": "Name it, for example Work laptop."},
    )
    credential = forms.JSONField(
        widget=forms.HiddenInput,
        error_messages={"required": "The browser made no passkey. Try again."},
    )


class ForgottenForm(forms.Form):
    """Whose password is to be set anew."""

    email = forms.EmailField(
        max_length=254,
        error_messages={
            "required": "Type your email address.",
            "invalid": "An email address looks like ingrid@example.com.",
        },
        widget=forms.EmailInput(attrs={"autocomplete": "username", "data-size": "lg"}),
    )


class NewPasswordForm(forms.Form):
    """A password set anew by who followed the link in the mail."""

    password = password_field("New password", "new-password", rule=LENGTH_RULE)

    def __init__(self, data: Mapping[str, Any] | None = None, *, user: User) -> None:
        super().__init__(data)
        self.user = user

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        validate_password(password, self.user)
        return password
