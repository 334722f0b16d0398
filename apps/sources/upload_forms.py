"""The form that takes an archive."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from apps.sources.uploading import upload_limit

ENDINGS = ".zip,.tar,.tar.gz,.tgz,.tar.bz2,.tar.xz"


class ArchiveForm(forms.Form):
    """One archive; what it is its content says."""

    archive = forms.FileField(
        label="Archive",
        help_text="A .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz with the Dockerfile in it. A single "
        "folder around everything is left out.",
        error_messages={
            "required": "Choose an archive.",
            "empty": "The archive is empty.",
            "invalid": "Choose an archive.",
        },
        widget=forms.ClearableFileInput(attrs={"class": "input", "accept": ENDINGS}),
    )

    def clean_archive(self) -> UploadedFile[bytes]:
        file: UploadedFile[bytes] = self.cleaned_data["archive"]
        if (file.size or 0) > upload_limit():
            raise ValidationError(
                f"An archive may have {settings.MIST_UPLOAD_LIMIT_MB} MB at most."
            )
        return file
