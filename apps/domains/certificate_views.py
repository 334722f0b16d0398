"""The pages of certificates: a project's own, and how an app's names are answered."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.deployments.feeds import anything
from apps.domains import certificate_services as services
from apps.domains.authority import local_root
from apps.domains.certificate_forms import CertificateForm, HttpsForm
from apps.domains.certificates import certificates_of, rows_of
from apps.domains.models import Certificate
from apps.domains.services import domain_change
from apps.domains.views import domain_of, domain_page, domains_page
from apps.engine.errors import CertificateRefused
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.projects.app_views import find_app
from apps.projects.confirmation import Question, ask
from apps.projects.https_models import HttpsBy
from apps.projects.models import Project, ProjectRole
from apps.projects.selectors import projects_visible_to

PEM = "application/x-pem-file"


def _project(request: HttpRequest, slug: str) -> Project:
    return get_object_or_404(projects_visible_to(cast(User, request.user)), slug=slug)


def _certificate(project: Project, pk: int) -> Certificate:
    return get_object_or_404(certificates_of(project), pk=pk)


def _frame(project: Project, last: str = "") -> dict[str, Any]:
    here = reverse("certificates", args=[project.slug])
    crumbs: list[tuple[str, str | None]] = [
        ("Projects", reverse("dashboard")),
        (project.slug, reverse("project", args=[project.slug])),
        ("Certificates", here if last else None),
    ]
    if last:
        crumbs.append((last, None))
    return {
        "title": f"Certificates · {project}",
        "crumbs": crumbs,
        "nav": "projects",
        "project": project,
        "tab": "Certificates",
    }


@allow(ProjectRole.VIEWER, write=ProjectRole.DEVELOPER)
@sensitive_post_parameters("key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(anything)
def certificates(request: HttpRequest, project: str) -> HttpResponse:
    """A POST brings one, or the successor of one for the very same names."""
    found = _project(request, project)
    form = _form(request)
    if form.is_valid() and (made := _save(request, found, form)) is not None:
        messages.success(request, f"The certificate for {made} was saved.")
        return redirect("certificates", project)
    context = {**_frame(found), "form": form, "rows": rows_of(found), "now": timezone.now()}
    return render_page(request, "certificates.html", context)


def _form(request: HttpRequest) -> CertificateForm:
    if request.method == "POST":
        return CertificateForm(request.POST, request.FILES)
    return CertificateForm()


def _save(
    request: HttpRequest, project: Project, form: CertificateForm, host: str = ""
) -> Certificate | None:
    try:
        return services.certificate_save(
            project=project,
            chain=form.cleaned_data["chain"],
            key=form.cleaned_data["key"],
            created_by=cast(User, request.user),
            host=host,
        )
    except CertificateRefused as error:
        form.refuse(error)
        return None


@allow(ProjectRole.DEVELOPER, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def certificate_remove(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    found = _project(request, project)
    certificate = _certificate(found, pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove the certificate for {certificate}?",
            text="Its key is deleted. Names that are answered with it are answered with another "
            "certificate that is for them, else over plain HTTP only. Browsers that keep HSTS "
            "cannot come until there is one again.",
            button="Remove certificate",
            back=reverse("certificates", args=[project]),
            keep="Keep certificate",
        )
        return ask(request, question, _frame(found, "Remove certificate"))
    name = str(certificate)
    services.certificate_remove(certificate=certificate)
    messages.success(request, f"The certificate for {name} was removed.")
    return redirect("certificates", project)


@allow(ProjectRole.VIEWER)
@require_safe
def certificate_chain(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    """What every visitor is sent anyway: the certificate without its key."""
    certificate = _certificate(_project(request, project), pk)
    name = str(certificate.names[0]).replace("*", "wildcard")
    return _download(certificate.chain, f"{name}.pem")


@allow(InstanceRole.MEMBER)
@require_safe
def local_authority_root(request: HttpRequest) -> HttpResponse:
    """For people to trust; empty while no name is self-signed."""
    return _download(local_root(), "mist-root.pem")


def _download(text: str, name: str) -> HttpResponse:
    disposition = f'attachment; filename="{name}"'
    return HttpResponse(text, content_type=PEM, headers={"Content-Disposition": disposition})


# ------------------------------------------------------------------------------------------- apps


@allow(ProjectRole.DEVELOPER)
@require_POST
def app_https(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """How all names of the app are answered."""
    found = find_app(request, project, app)
    form = HttpsForm(request.POST, app=found)
    if not form.is_valid():
        return domains_page(request, found, https_form=form)
    services.https_change(app=found, **form.cleaned_data)
    messages.success(request, f"How {found.slug} is answered over HTTPS was changed.")
    return redirect("app_domains", project, app)


@allow(ProjectRole.DEVELOPER)
@require_POST
def https_check(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Look at what visitors get, behind the page."""
    found = find_app(request, project, app)
    services.served_check(app=found)
    messages.info(request, "Mist looks at what visitors get. The page shows it in a moment.")
    return redirect("app_domains", project, app)


@allow(ProjectRole.DEVELOPER)
@sensitive_post_parameters("key")
@never_cache
@require_POST
def domain_certificate(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    """Bring a certificate for this very name, and have it answered with that."""
    found = find_app(request, project, app)
    row = domain_of(found, pk)
    form = _form(request)
    if not form.is_valid() or _save(request, found.project, form, row.host) is None:
        return domain_page(request, found, row, certificate_form=form)
    if row.https != HttpsBy.OWN:
        domain_change(domain=row, https=HttpsBy.OWN)
    messages.success(request, f"{row.shown} is answered with that certificate within a second.")
    return redirect("app_domains", project, app)
