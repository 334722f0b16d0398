"""An app that is pushed or uploaded to this Mist: how to push, and the form to upload."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.accounts.models import User
from apps.engine.errors import EngineError
from apps.projects.access import allow
from apps.projects.app_views import find_app
from apps.projects.models import ProjectRole
from apps.projects.source_models import SourceKind
from apps.sources.upload_forms import ArchiveForm
from apps.sources.uploading import archive_upload
from apps.sources.views import source_page


@allow(ProjectRole.DEVELOPER)
@require_POST
def app_upload(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Deploy what is in the archive. It may be as large as the web server lets this address be."""
    found, user = find_app(request, project, app), cast(User, request.user)
    if found.source_kind != SourceKind.MIST:
        messages.error(request, f"{found} does not come from uploads. Choose that here first.")
        return redirect("app_source", project, app)
    form = ArchiveForm(request.POST, request.FILES)
    if form.is_valid():
        file: Any = form.cleaned_data["archive"]
        try:
            deployment = archive_upload(app=found, archive=file.file, name=file.name or "", by=user)
            return redirect("deployment", project, app, deployment.number)
        except EngineError as error:
            words = [error.sentence, error.hint] if error.hint else [error.sentence]
            form.add_error("archive", ValidationError(" ".join(words)))
    return source_page(request, found, archive_form=form)
