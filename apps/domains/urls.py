"""Addresses of an app's host names."""

from __future__ import annotations

from django.urls import path

from apps.domains import acme_views, certificate_views, rule_views, views

TRAFFIC = "projects/<slug:project>/apps/<slug:app>/traffic/"
DOMAINS = "projects/<slug:project>/apps/<slug:app>/domains/"
CERTIFICATES = "projects/<slug:project>/certificates/"

urlpatterns = [
    path(DOMAINS, views.app_domains, name="app_domains"),
    path(f"{DOMAINS}check/", views.name_check, name="name_check"),
    path(f"{DOMAINS}certificate/", acme_views.certificate_retry, name="certificate_retry"),
    path(f"{DOMAINS}<int:pk>/", views.domain, name="domain"),
    path(f"{DOMAINS}<int:pk>/move/", views.domain_move, name="domain_move"),
    path(f"{DOMAINS}<int:pk>/delete/", views.domain_delete, name="domain_delete"),
    path(f"{DOMAINS}<int:pk>/traffic/", rule_views.domain_traffic, name="domain_traffic"),
    path(
        f"{DOMAINS}<int:pk>/traffic/join/",
        rule_views.domain_traffic_join,
        name="domain_traffic_join",
    ),
    path(TRAFFIC, rule_views.app_traffic, name="app_traffic"),
    path(
        f"{TRAFFIC}users/<int:pk>/remove/",
        rule_views.traffic_user_remove,
        name="traffic_user_remove",
    ),
    path(
        f"{DOMAINS}<int:pk>/certificate/",
        certificate_views.domain_certificate,
        name="domain_certificate",
    ),
    path(f"{DOMAINS}https/", certificate_views.app_https, name="app_https"),
    path(f"{DOMAINS}https/check/", certificate_views.https_check, name="https_check"),
    path(CERTIFICATES, certificate_views.certificates, name="certificates"),
    path(
        f"{CERTIFICATES}<int:pk>/remove/",
        certificate_views.certificate_remove,
        name="certificate_remove",
    ),
    path(
        f"{CERTIFICATES}<int:pk>/chain.pem",
        certificate_views.certificate_chain,
        name="certificate_chain",
    ),
    path(
        "certificates/mist-root.pem",
        certificate_views.local_authority_root,
        name="local_authority_root",
    ),
    path("settings/certificates/", acme_views.acme, name="acme"),
    path("settings/certificates/dns/", acme_views.acme_dns_choose, name="acme_dns_choose"),
    path("settings/certificates/dns/<slug:provider>/", acme_views.acme_dns, name="acme_dns"),
    path(
        "settings/certificates/dns/accounts/<int:pk>/remove/",
        acme_views.acme_dns_remove,
        name="acme_dns_remove",
    ),
]
