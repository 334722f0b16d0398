"""The shapes of the API's JSON, as JSON Schema (2020-12, what OpenAPI 3.1 uses)."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.api.models import Scope
from apps.api.shapes import SETTINGS
from apps.deployments.models import Deployment, Status
from apps.projects.forms import AppForm
from apps.projects.models import App

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
COMMIT = "^[0-9a-fA-F]{40}$"


def exactly(properties: Schema, *, about: str = "", optional: bool = False) -> Schema:
    """An object with these properties, all of them unless `optional`, and no others."""
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if not optional:
        shape["required"] = list(properties)
    return shape | ({"description": about} if about else {})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _setting(name: str) -> Schema:
    field = AppForm.base_fields[name]
    kind: object = "string"
    if isinstance(field, forms.BooleanField):
        kind = "boolean"
    elif isinstance(field, forms.DecimalField):
        kind = "number"
    elif name == "port" or isinstance(field, forms.IntegerField):
        kind = ["integer", "null"]
    about = str(field.help_text or field.label)
    shape: Schema = {"type": kind, "description": about}
    if isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        shape["enum"] = [str(value) for value, _ in choices]
    return shape


def _choices(values: Any) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


def _links(*names: str) -> Schema:
    """Paths on this Mist."""
    return exactly({name: {"type": "string", "format": "uri-reference"} for name in names})


def _app() -> Schema:
    return exactly(
        {
            "project": TEXT,
            "app": TEXT,
            "state": _choices(["deploying", *App.Observed.values]),
            "wanted": _choices(App.Wanted.values),
            "live": {"type": ["integer", "null"], "description": "The id of the live deployment."},
            "address": MAYBE_TEXT,
            "created_at": MOMENT,
            "settings": _ref("Settings") | {"required": list(SETTINGS)},
            "links": _links("self", "page"),
        }
    )


def _deployment() -> Schema:
    failure = exactly({"stage": TEXT, "message": TEXT, "hint": TEXT})
    return exactly(
        {
            "id": {"type": "integer", "minimum": 1, "description": "Counted for each app."},
            "project": TEXT,
            "app": TEXT,
            "status": _choices(Status.values),
            "is_finished": FLAG | {"description": "Whether nothing is left to wait for."},
            "trigger": _choices(Deployment.Trigger.values),
            "requested_by": MAYBE_TEXT,
            "ref": TEXT,
            "commit": MAYBE_TEXT | {"description": "Known from the start or once it is fetched."},
            "commit_message": TEXT,
            "image": MAYBE_TEXT
            | {"description": "Of a ready image: what was asked for, with its digest once known."},
            "no_cache": FLAG,
            "created_at": MOMENT,
            "started_at": MAYBE_MOMENT,
            "finished_at": MAYBE_MOMENT,
            "failure": {"anyOf": [failure, {"type": "null"}]},
            "can_be_rolled_back_to": FLAG,
            "links": _links("self", "app", "page"),
        }
    )


def _page(name: str, of: str) -> Schema:
    more = {
        "type": ["string", "null"],
        "format": "uri-reference",
        "description": "Where the list goes on.",
    }
    return exactly({name: {"type": "array", "items": _ref(of)}, "next": more})


def schemas() -> Schema:
    return {
        "App": _app(),
        "Apps": _page("apps", "App"),
        "Settings": exactly({name: _setting(name) for name in SETTINGS}, optional=True),
        "Deployment": _deployment(),
        "Deployments": _page("deployments", "Deployment"),
        "Deploy": exactly(
            {
                "ref": TEXT
                | {
                    "description": "A branch or tag; of a ready image a tag or digest. Without: "
                    "the app's own."
                },
                "image": TEXT
                | {"description": "Of a ready image: its whole name with another tag or digest."},
                "commit": {
                    "type": "string",
                    "pattern": COMMIT,
                    "description": "This very commit of it.",
                },
                "no_cache": FLAG | {"description": "Build without the cache."},
            },
            optional=True,
        ),
        "Rollback": exactly(
            {"old_variables": FLAG | {"description": "With the variables of then, not of now."}},
            optional=True,
        ),
        "Nothing": exactly({}),
        "Token": exactly(
            {
                "name": TEXT,
                "prefix": TEXT,
                "user": TEXT,
                "scopes": {"type": "array", "items": _choices(Scope.values)},
                "project": MAYBE_TEXT,
                "expires_at": MAYBE_MOMENT,
                "created_at": MOMENT,
            }
        ),
        "Problem": {
            "type": "object",
            "description": "Problem details (RFC 9457).",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string", "format": "uri-reference"},
                "title": TEXT,
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": TEXT,
                "errors": {
                    "type": "object",
                    "description": "Field → what is wrong with it.",
                    "additionalProperties": {"type": "array", "items": TEXT, "minItems": 1},
                },
            },
            "additionalProperties": False,
        },
    }
