"""The part of an app's settings that says how it is checked, released, stopped and started."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from apps.engine.run_settings import MAX_COMMAND, check_command, check_statuses
from apps.projects.models import MOST_REPLICAS, App
from apps.projects.settings_forms import PLAIN, SettingsForm, checked

HOUR, DAY = 3_600, 86_400


def _number(label: str, about: str, least: int, most: int, unit: str = " s") -> forms.IntegerField:
    rule = f"This is a whole number from {least} to {most}{unit}."
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=least,
        max_value=most,
        help_text=about,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), rule),
        widget=forms.TextInput(attrs={**PLAIN, "inputmode": "numeric"}),
    )


def _choice(label: str, about: str, choices: list[tuple[str, str]]) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, help_text=about, choices=choices)


def _command(label: str, about: str, example: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=MAX_COMMAND,
        help_text=about,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": example, "maxlength": None}),
    )


class ReleaseForm(SettingsForm):
    """Fields of `AppForm`. Those that may stay empty take Mist's own setting then."""

    health_check = _choice(
        "Health check",
        "How Mist knows that a new version works. Before that nothing goes live.",
        App.HealthCheck.choices,
    )
    health_status = forms.CharField(
        label="Expected status",
        required=False,
        help_text="Which answers pass, for example 200, 200-399 or 200,204.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    health_up_seconds = _number(
        "Stays up for",
        "A worker that ran this long passes. It has no port and no address.",
        1,
        HOUR,
    )
    health_start_seconds = _number(
        "Start time", "How long failed tries are forgiven while the app starts.", 1, HOUR
    )
    health_attempts = _number(
        "Attempts", "So many failed tries after that end the deployment.", 1, 100, ""
    )
    health_interval = _number(
        "Interval", "Between two tries. Empty: often at first, then each 2 s.", 1, 300
    )
    health_timeout = _number("Answer time", "A try that takes longer has failed.", 1, 60)
    release_mode = _choice(
        "Release mode",
        "Versions that cannot run at the same time need a stop: visitors get a 503 meanwhile.",
        App.ReleaseMode.choices,
    )
    release_command = _command(
        "Release command",
        "Runs once in the new version before it starts. If it fails, the old version serves on. "
        "A rollback skips it. sh -c '…' gives a shell.",
        "python manage.py migrate",
    )
    post_deploy_command = _command(
        "Post-deploy command",
        "Runs once in the new version after it went live, a rollback too. If it fails, the "
        "deployment's page says so and the version stays.",
        "python manage.py clear_cache",
    )
    command_seconds = _number(
        "Command time limit", "How long each of the two commands may take.", 1, DAY
    )
    replicas = _number(
        "Containers",
        "So many run side by side and share the visitors. Under Release it says how a new version "
        "replaces them. With a volume, all of them write to the same one.",
        1,
        MOST_REPLICAS,
        "",
    )
    replacing = _choice(
        "Replacing containers",
        "One by one: memory for one more container only, both versions answer for a while. "
        "All at once: two versions never answer at the same time, needs memory for twice the "
        "containers. Of no meaning for one container, and where the old version stops first.",
        App.Replacing.choices,
    )
    sticky_sessions = forms.BooleanField(
        label="Sticky sessions",
        required=False,
        help_text="A visitor of several containers comes back to the same one, by a cookie, as "
        "long as it is there.",
    )
    protocol = _choice(
        "Protocol",
        "What the app speaks at its port. Visitors may use HTTP/2 with either one.",
        App.Protocol.choices,
    )
    drain_seconds = _number(
        "Drain time", "How long requests to the replaced version may take to end.", 0, HOUR
    )
    stop_signal = _choice("Stop signal", "Asks the app to end.", App.StopSignal.choices)
    stop_seconds = _number(
        "Grace time", "How long it may take to end before it is killed.", 0, HOUR
    )
    restart_policy = _choice(
        "Restart policy",
        "When the app is started again after it ended by itself.",
        App.RestartPolicy.choices,
    )

    def show_defaults(self) -> None:
        """An empty field shows what the instance has for it."""
        for name, value in (
            ("health_start_seconds", settings.MIST_HEALTH_TIMEOUT),
            ("drain_seconds", settings.MIST_DRAIN_SECONDS),
            ("stop_seconds", settings.MIST_STOP_TIMEOUT),
        ):
            self.fields[name].widget.attrs["placeholder"] = f"{value:g}"
        self.fields["health_interval"].widget.attrs["placeholder"] = "automatic"

    def clean_health_check(self) -> str:
        return str(self.given("health_check"))

    def clean_health_status(self) -> str:
        return str(checked(check_statuses, self.given("health_status")))

    def clean_health_up_seconds(self) -> int:
        return int(self.given("health_up_seconds"))

    def clean_replicas(self) -> int:
        return int(self.given("replicas"))

    def clean_health_attempts(self) -> int:
        return int(self.given("health_attempts"))

    def clean_health_timeout(self) -> int:
        return int(self.given("health_timeout"))

    def clean_command_seconds(self) -> int:
        return int(self.given("command_seconds"))

    def clean_release_mode(self) -> str:
        mode = str(self.given("release_mode"))
        app = self.instance
        if mode == App.ReleaseMode.NO_GAP and app is not None and app.host_ports.exists():
            raise ValidationError(
                "The app has a port of the server, which two versions cannot have at once. "
                "Remove the port first, or choose another mode."
            )
        return mode

    def clean_release_command(self) -> str:
        return str(checked(check_command, self.cleaned_data["release_command"]))

    def clean_post_deploy_command(self) -> str:
        return str(checked(check_command, self.cleaned_data["post_deploy_command"]))

    def clean_protocol(self) -> str:
        return str(self.given("protocol"))

    def clean_replacing(self) -> str:
        return str(self.given("replacing"))

    def clean_restart_policy(self) -> str:
        return str(self.given("restart_policy"))
