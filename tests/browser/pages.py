"""The pages that are looked at, by the names of their addresses."""

from __future__ import annotations

WEB = "/projects/shop/apps/web"
NOTES, DOCS, WORKER = (
    "/projects/tidewater/apps/notes",
    "/projects/tidewater/apps/docs",
    "/projects/shop/apps/worker",
)
READY = "/projects/tidewater/apps/tide-tables"
PAGES: dict[str, dict[str, str]] = {
    "dashboard": {"dashboard": "/"},
    "project_list": {"projects": "/projects/"},
    "project_new": {"project-new": "/new-project/"},
    "project": {"project": "/projects/shop/", "project-empty": "/projects/sandbox/"},
    "project_variables": {
        "project-variables": "/projects/shop/variables/",
        "project-variables-none": "/projects/sandbox/variables/",
    },
    "project_delete": {"project-delete": "/projects/sandbox/delete/"},
    "app_new": {"app-new": "/projects/shop/new-app/"},
    "app_new_github": {"app-new-github": "/projects/shop/new-app/github/"},
    "app": {
        "app": f"{WEB}/",
        "app-crashed": f"{NOTES}/",
        "app-deploying": f"{DOCS}/",
        "app-stopped": f"{WORKER}/",
        "app-new-one": "/projects/tidewater/apps/new-one/",
        "app-pushed": "/projects/tidewater/apps/pushed/",
        "app-image": f"{READY}/",
    },
    "app_deployments": {
        "app-deployments": f"{WEB}/deployments/",
        "app-deployments-other": f"{WEB}/deployments/?deploy=other",
        "app-deployments-image": f"{READY}/deployments/?deploy=other",
        "app-deployments-none": "/projects/tidewater/apps/new-one/deployments/",
    },
    "app_logs": {
        "app-logs": f"{WEB}/logs/",
        "app-logs-none": "/projects/tidewater/apps/new-one/logs/",
    },
    "app_metrics": {"app-metrics": f"{WEB}/metrics/"},
    "app_environment": {
        "app-environment": f"{WEB}/environment/",
        "app-environment-long": "/projects/shop/apps/api/environment/",
        "app-environment-none": f"{WORKER}/environment/",
    },
    "app_domains": {"app-domains": f"{WEB}/domains/"},
    "domain": {"domain": f"{WEB}/domains/1/"},
    "app_traffic": {"app-traffic": f"{WEB}/traffic/"},
    "domain_traffic": {
        "domain-traffic": f"{WEB}/domains/1/traffic/",
        "domain-traffic-own": f"{WEB}/domains/2/traffic/",
    },
    "domain_traffic_join": {"domain-traffic-join": f"{WEB}/domains/2/traffic/join/"},
    "traffic_user_remove": {"traffic-user-remove": f"{WEB}/traffic/users/1/remove/"},
    "certificates": {
        "certificates": "/projects/shop/certificates/",
        "certificates-none": "/projects/sandbox/certificates/",
    },
    "certificate_remove": {"certificate-remove": "/projects/shop/certificates/1/remove/"},
    "app_source": {
        "app-source": f"{WEB}/source/",
        "app-source-pushed": "/projects/tidewater/apps/pushed/source/",
        "app-source-key": f"{WORKER}/source/",
        "app-source-open": "/projects/shop/apps/api/source/",
        "app-source-image": f"{READY}/source/",
    },
    "deploy_key_make": {"deploy-key-make": f"{WORKER}/source/access/key/"},
    "git_credential_remove": {"credential-remove": f"{WEB}/source/access/remove/"},
    "host_key_remove": {"host-key-remove": f"{WORKER}/source/access/hosts/1/remove/"},
    "webhook_secret": {
        "webhook-new": f"{WEB}/source/webhooks/gitlab/secret/",
        "webhook-rotate": f"{WEB}/source/webhooks/github/secret/",
    },
    "webhook_delete": {"webhook-delete": f"{WEB}/source/webhooks/github/delete/"},
    "deploy_hook_revoke": {"deploy-hook-revoke": f"{WEB}/source/deploy-hooks/1/revoke/"},
    "delivery_list": {
        "deliveries": "/projects/shop/deliveries/",
        "deliveries-refused": "/projects/shop/deliveries/?outcome=refused",
        "deliveries-none": "/projects/sandbox/deliveries/",
    },
    "delivery": {
        "delivery": "/projects/shop/deliveries/1/",
        "delivery-refused": "/projects/shop/deliveries/4/",
    },
    "app_source_github": {"app-source-github": f"{WEB}/source/github/"},
    "registries": {
        "registries": "/projects/shop/registries/",
        "registries-none": "/projects/sandbox/registries/",
    },
    "registry_remove": {"registry-remove": "/projects/shop/registries/1/remove/"},
    "app_settings": {
        "app-settings": f"{WEB}/settings/",
        "app-settings-worker": f"{WORKER}/settings/",
    },
    "app_stop": {"app-stop": f"{WEB}/stop/"},
    "deployment": {
        "deployment-live": f"{WEB}/deployments/2/",
        "deployment-failed": f"{WEB}/deployments/3/",
        "deployment-replaced": f"{WEB}/deployments/1/",
        "deployment-running": f"{DOCS}/deployments/2/",
        "deployment-released": f"{NOTES}/deployments/1/",
        "deployment-cancelled": f"{WORKER}/deployments/2/",
        "deployment-image": f"{READY}/deployments/2/",
        "deployment-image-failed": f"{READY}/deployments/3/",
    },
    "deployment_rollback": {"deployment-rollback": f"{WEB}/deployments/1/rollback/"},
    "deployment_list": {"deployments": "/deployments/"},
    "search": {
        "search": "/search/?q=web",
        "search-none": "/search/?q=zebra",
        "search-empty": "/search/",
    },
    "settings": {"settings": "/settings/"},
    "addresses": {"addresses": "/settings/addresses/"},
    "acme": {"certificates": "/settings/certificates/"},
    "acme_dns": {"certificates-dns": "/settings/certificates/dns/route53/"},
    "acme_dns_remove": {"certificates-dns-remove": "/settings/certificates/dns/accounts/1/remove/"},
    "github": {"github": "/settings/github/"},
    "github_delivery_list": {"github-deliveries": "/settings/github/1/deliveries/"},
    "github_delivery": {"github-delivery": "/settings/github/1/deliveries/6/"},
    "github_new": {"github-new": "/settings/github/new/"},
    "storage": {"storage": "/storage/"},
    "server": {"server": "/server/"},
    "audit": {
        "audit": "/audit/",
        "audit-filtered": "/audit/?q=web&action=app.create",
        "audit-none": "/audit/?q=zebra",
    },
    "project_audit": {"project-audit": "/projects/shop/audit/"},
    "account": {"account": "/account/"},
    "two_factor": {"two-factor": "/account/two-factor/"},
    "totp_add": {"totp-add": "/account/two-factor/app/"},
    "passkey_add": {"passkey-add": "/account/two-factor/passkey/"},
    "reauthenticate": {"reauthenticate": "/reauthenticate/?next=/projects/"},
    "password_forget": {"password-forget": "/password/"},
    "users": {"users": "/users/", "users-none": "/users/?q=zebra"},
    "user": {"user": "/users/3/", "user-oneself": "/users/1/"},
    "user_deactivate": {"user-deactivate": "/users/3/deactivate/"},
    "user_delete": {"user-delete": "/users/2/delete/"},
    "invitations": {"invitations": "/users/invitations/"},
    "invitation_revoke": {"invitation-revoke": "/users/invitations/1/revoke/"},
    "members": {"members": "/projects/shop/members/", "members-none": "/projects/sandbox/members/"},
    "member_remove": {"member-remove": "/projects/shop/members/1/remove/"},
    "member_invitation_revoke": {
        "member-invitation-revoke": "/projects/shop/members/invitations/1/revoke/"
    },
    "project_leave": {"project-leave": "/projects/tidewater/leave/"},
    "account_tokens": {"tokens-mine": "/account/tokens/"},
    "account_token_revoke": {"token-revoke": "/account/tokens/1/revoke/"},
    "tokens": {"tokens": "/tokens/"},
    "token_revoke": {"token-revoke-any": "/tokens/2/revoke/"},
    "": {"error-404": "/nope/"},
}
"""Name of the address → pictures of it. What is not there (yet) is left out."""
ELSEWHERE = {"login", "setup", "invitation"}
"""Pages that other tests of this file open."""
PARTS = {"palette", "app_usage", "server_row", "certificate_chain", "local_authority_root"}
"""No page of its own."""
