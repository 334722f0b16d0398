"""What people type about members of a project."""

from __future__ import annotations

from django import forms

from apps.accounts.people_forms import email_field, project_role_field


class _WithEmail(forms.Form):
    email = email_field()

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class MemberForm(_WithEmail):
    """Somebody to take into the project."""

    role = project_role_field()


class TransferForm(_WithEmail):
    """Who is to own the project. By address: a list would name people one need not know."""

    def __init__(self, data: object = None) -> None:
        super().__init__(data, auto_id="transfer_%s")  # type: ignore[arg-type]
        self.fields["email"].label = "New owner"
        self.fields["email"].help_text = "The email address of an admin of this project."
