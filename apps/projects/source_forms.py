"""The part of an app's settings that says where it comes from and how it is built."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from apps.engine import sources
from apps.engine.errors import InvalidSource
from apps.engine.image_names import check_image_name
from apps.projects.settings_forms import PLAIN, SettingsForm, checked
from apps.projects.source_models import OnPush, PullPolicy, SourceKind

KINDS = [
    (SourceKind.GIT, "A Git repository"),
    (SourceKind.MIST, "Pushed or uploaded to this Mist"),
    (SourceKind.IMAGE, "A ready image"),
]
"""That can be chosen in a form; the fourth, GitHub, begins with choosing a repository there."""
MOST_PATTERNS = 100
NEEDS = {
    SourceKind.GIT: ("repository", "Say where the code is, for example "),
    SourceKind.GITHUB: ("repository", "Say where the code is, for example "),
    SourceKind.IMAGE: ("image_name", "Name the image, for example "),
}
"""What an app of that kind cannot be without."""
EXAMPLES = {
    "repository": "https://github.com/owner/repository",
    "image_name": "ghcr.io/owner/name:1.4",
}


def check_patterns(text: str) -> str:
    """Patterns of paths, one a line, without empty ones. Raises `InvalidSource`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_PATTERNS:
        raise InvalidSource(f"There are at most {MOST_PATTERNS} patterns.")
    for line in lines:
        sources.check_relative_path(line.removeprefix("!"))
    return "\n".join(lines)


class SourceForm(SettingsForm):
    """Fields of `AppForm`."""

    source_kind = forms.ChoiceField(
        label="Source", required=False, choices=KINDS, help_text="Where the app comes from."
    )
    repository = forms.CharField(
        label="Git repository",
        required=False,
        help_text="Starts with https://, http://, ssh:// or git@host:, without a password in it.",
        widget=forms.TextInput(
            attrs={**PLAIN, "inputmode": "url", "placeholder": EXAMPLES["repository"]}
        ),
    )
    image_name = forms.CharField(
        label="Image",
        required=False,
        help_text="With a tag, or with the digest of one image for ever.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": EXAMPLES["image_name"]}),
    )
    pull_policy = forms.ChoiceField(
        label="Ask the registry",
        required=False,
        choices=PullPolicy.choices,
        help_text="Whether a tag that has moved since is noticed. Without asking, Mist takes what "
        "an app of this project has pulled and still keeps.",
    )
    branch = forms.CharField(label="Branch", required=False, widget=forms.TextInput(attrs=PLAIN))
    root_directory = forms.CharField(
        label="Root directory",
        required=False,
        help_text="Where the app is in the repository. Empty: at its top.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "services/web"}),
    )
    dockerfile = forms.CharField(
        label="Dockerfile",
        required=False,
        help_text="Its path below the root directory.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    has_submodules = forms.BooleanField(
        label="Submodules",
        required=False,
        help_text="Fetch them as well.",
    )
    has_lfs = forms.BooleanField(
        label="Git LFS",
        required=False,
        help_text="Fetch the large files that it keeps elsewhere.",
    )
    auto_deploy = forms.BooleanField(
        label="Deploy at every push",
        required=False,
        help_text="Otherwise pushes are noted, and you deploy by hand.",
    )
    on_push = forms.ChoiceField(
        label="While a deployment is at work",
        required=False,
        choices=OnPush.choices,
        help_text="What a newer commit means for it.",
    )
    watch_paths = forms.CharField(
        label="Watched paths",
        required=False,
        help_text="One pattern a line. A push that touches none of them deploys nothing. Empty: "
        "everything below the root directory.",
        widget=forms.Textarea(attrs={**PLAIN, "rows": 3, "placeholder": "services/web/**"}),
    )
    tag_pattern = forms.CharField(
        label="Tags",
        required=False,
        help_text="Tags of this pattern deploy as well when they are pushed.",
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "v*"}),
    )

    LATER = ("has_submodules", "has_lfs", "auto_deploy", "on_push", "watch_paths", "tag_pattern")
    """Not asked for a new app."""

    def show_source(self) -> None:
        """Fields as `instance` needs them."""
        if self.instance is None:
            for name in self.LATER:
                del self.fields[name]
        elif self.instance.source_kind == SourceKind.GITHUB:
            kind = self.fields["source_kind"]
            assert isinstance(kind, forms.ChoiceField)
            kind.choices = [(SourceKind.GITHUB, "GitHub, through a GitHub App"), *KINDS]
            # Another one is chosen on GitHub: what opens this one opens no other.
            self.fields["repository"].disabled = True
            self.fields["repository"].help_text = "As it was chosen on GitHub."

    def clean(self) -> dict[str, Any]:
        """What the kind of source cannot be without."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        kind = given.get("source_kind")
        if kind in NEEDS:
            name, words = NEEDS[SourceKind(kind)]
            if name in self.fields and name not in self.errors and not given.get(name):
                self.add_error(name, f"{words}{EXAMPLES[name]}.")
        return given

    def clean_source_kind(self) -> str:
        return str(self.given("source_kind"))

    def clean_repository(self) -> str:
        text = self.cleaned_data["repository"]
        if not text:
            return ""
        return self.short("repository", checked(sources.check_repository_url, text))

    def clean_image_name(self) -> str:
        text = self.cleaned_data["image_name"]
        return self.short("image_name", checked(check_image_name, text)) if text else ""

    def clean_pull_policy(self) -> str:
        return str(self.given("pull_policy"))

    def clean_on_push(self) -> str:
        return str(self.given("on_push"))

    def clean_branch(self) -> str:
        return self.short("branch", checked(sources.check_ref, self.given("branch")))

    def clean_root_directory(self) -> str:
        text = self.cleaned_data["root_directory"]
        return self.short("root_directory", checked(sources.check_relative_path, text))

    def clean_dockerfile(self) -> str:
        path = checked(sources.check_relative_path, self.given("dockerfile"))
        if not path:
            raise ValidationError("Name the file, for example Dockerfile or deploy/Dockerfile.")
        return self.short("dockerfile", path)

    def clean_watch_paths(self) -> str:
        return str(checked(check_patterns, self.cleaned_data["watch_paths"]))

    def clean_tag_pattern(self) -> str:
        text = self.cleaned_data["tag_pattern"]
        if text:
            # A tag with stars: one where every star stands for a letter.
            checked(sources.check_ref, text.replace("*", "x").replace("?", "x"))
        return self.short("tag_pattern", text)
