"""All URLs: each app brings its own."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("apps.system.urls")),
    path("", include("apps.accounts.urls")),
    path("", include("apps.projects.urls")),
    path("", include("apps.sources.urls")),
    path("", include("apps.deployments.urls")),
    path("", include("apps.domains.urls")),
    path("", include("apps.metrics.urls")),
    path("", include("apps.storage.urls")),
    path("", include("apps.api.urls")),
    path("api/", include("apps.api.api_urls")),
    path("", include("apps.audit.urls")),
    path("admin/", admin.site.urls),
]

handler500 = "apps.system.views.broken"
