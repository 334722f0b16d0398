"""What people type about others: their role, who takes over from them, who is invited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from apps.accounts.forms import LENGTH_RULE, password_field
from apps.accounts.models import InstanceRole, User
from apps.accounts.people_services import may_give
from apps.accounts.selectors import person_by_email
from apps.projects.models import Project, ProjectRole

EMAIL_RULE = "An email address looks like ingrid@example.com."
ROLE_HELP = (
    "A member sees the projects they belong to. An admin sees every project, the server and the "
    "users. An owner may do everything."
)
PROJECT_ROLE_HELP = (
    "A viewer sees what runs. A developer deploys, reads logs and changes variables. An admin also "
    "decides who belongs here, and deletes."
)


def email_field(label: str = "Email") -> forms.EmailField:
    return forms.EmailField(
        label=label,
        max_length=254,
        error_messages={"required": "Type the email address.", "invalid": EMAIL_RULE},
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "ingrid@example.com"}),
    )


def project_role_field(*, required: bool = True) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label="Role in the project",
        choices=ProjectRole.choices,
        coerce=ProjectRole,
        required=required,
        help_text=PROJECT_ROLE_HELP,
    )


def _roles(by: User) -> list[tuple[str, str]]:
    return [(role.value, role.label) for role in InstanceRole if may_give(by, role)]


class PersonForm(forms.Form):
    """Name and role of `person`, as `by` may set them."""

    name = forms.CharField(
        max_length=100, error_messages={"required": "Say what others see, for example Ingrid."}
    )
    role = forms.TypedChoiceField(coerce=InstanceRole, help_text=ROLE_HELP)

    def __init__(self, data: Mapping[str, Any] | None = None, *, person: User, by: User) -> None:
        super().__init__(data, initial={"name": person.name, "role": person.role})
        self.fields["role"].choices = _roles(by)  # type: ignore[attr-defined]


class HandOverForm(forms.Form):
    """Who takes over what `person` owns."""

    heir = email_field("Who takes over")

    def __init__(self, data: Mapping[str, Any] | None = None, *, person: User, by: User) -> None:
        super().__init__(data, initial={"heir": by.email if by != person else ""})
        self.person = person
        self.fields["heir"].help_text = "The email address of another user."

    def clean_heir(self) -> User:
        heir = person_by_email(self.cleaned_data["heir"])
        if heir is None or heir == self.person:
            raise ValidationError("There is no other active user with this address.")
        return heir


class InvitationForm(forms.Form):
    """Somebody new, with any role that `by` may give."""

    email = email_field()
    role = forms.TypedChoiceField(
        coerce=InstanceRole, initial=InstanceRole.MEMBER, help_text=ROLE_HELP
    )
    project = forms.ModelChoiceField(
        Project.objects.none(),
        required=False,
        empty_label="None yet",
        to_field_name="slug",
        error_messages={"invalid_choice": "There is no such project."},
    )
    project_role = project_role_field(required=False)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        by: User,
        projects: QuerySet[Project],
    ) -> None:
        super().__init__(data)
        self.fields["role"].choices = _roles(by)  # type: ignore[attr-defined]
        self.fields["project"].queryset = projects  # type: ignore[attr-defined]

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exists():
            raise ValidationError(f"{email} has an account already. Change its role on its page.")
        return email

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("project") is None:
            given["project_role"] = None
        elif not given.get("project_role"):
            given["project_role"] = ProjectRole.VIEWER
        return given


class JoinForm(forms.Form):
    """What a new person says about themself. The address is the invitation's."""

    name = forms.CharField(
        max_length=100,
        error_messages={"required": "Say who you are, for example Ingrid Solberg."},
        widget=forms.TextInput(attrs={"autocomplete": "name", "data-size": "lg"}),
    )
    password = password_field("Password", "new-password", rule=LENGTH_RULE)

    def __init__(self, data: Mapping[str, Any] | None = None, *, email: str) -> None:
        super().__init__(data)
        self.email = email

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        validate_password(password, User(email=self.email, name=self.cleaned_data.get("name", "")))
        return password
