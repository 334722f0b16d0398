"""Asking before something is lost.

The address of an action answers a GET with the question and a POST with the deed. Scripts ask
for the question alone and show it in a dialog; without them it is a page of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


@dataclass(frozen=True)
class Question:
    heading: str
    """`Delete API_KEY?`"""
    text: str
    """What is lost and what is kept."""
    button: str
    """The verb and the thing: `Delete API_KEY`."""
    back: str
    """Where who thinks better of it goes."""
    keep: str = "Cancel"


def ask(request: HttpRequest, question: Question, frame: Mapping[str, Any]) -> HttpResponse:
    """The question, inside the page's `frame` (title, crumbs, nav) or, for a dialog, alone."""
    part = "HX-Request" in request.headers
    context = {**frame, "title": question.heading, "question": question}
    answer = render(request, "_confirm.html" if part else "confirm.html", context)
    patch_vary_headers(answer, ["HX-Request"])
    return answer
