"""DNS providers with which Traefik can prove names by a TXT record (DNS-01), and what each needs.

Codes and variables are those of lego, the library that Traefik has built in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    name: str
    label: str
    is_secret: bool = True
    is_needed: bool = True


@dataclass(frozen=True)
class DnsProvider:
    code: str
    name: str
    variables: tuple[Variable, ...]
    hint: str = ""
    """What to make there."""


def _secret(name: str, label: str = "API token") -> Variable:
    return Variable(name, label)


def _open(name: str, label: str, *, needed: bool = True) -> Variable:
    return Variable(name, label, is_secret=False, is_needed=needed)


def _provider(code: str, name: str, *variables: Variable, hint: str = "") -> DnsProvider:
    return DnsProvider(code, name, variables, hint)


_ALL = (
    _provider(
        "cloudflare", "Cloudflare", _secret("CF_DNS_API_TOKEN"),
        hint="A token with the permissions Zone, Zone, Read and Zone, DNS, Edit.",
    ),
    _provider(
        "route53", "Amazon Route 53",
        _open("AWS_ACCESS_KEY_ID", "Access key ID"),
        _secret("AWS_SECRET_ACCESS_KEY", "Secret access key"),
        _open("AWS_REGION", "Region", needed=False),
        _open("AWS_HOSTED_ZONE_ID", "Hosted zone ID", needed=False),
        hint="A user that may list hosted zones and change record sets.",
    ),
    _provider("digitalocean", "DigitalOcean", _secret("DO_AUTH_TOKEN")),
    _provider("hetzner", "Hetzner", _secret("HETZNER_API_TOKEN")),
    _provider(
        "ovh", "OVHcloud",
        _open("OVH_ENDPOINT", "Endpoint, for example ovh-eu"),
        _open("OVH_APPLICATION_KEY", "Application key"),
        _secret("OVH_APPLICATION_SECRET", "Application secret"),
        _secret("OVH_CONSUMER_KEY", "Consumer key"),
    ),
    _provider(
        "gandiv5", "Gandi", _secret("GANDIV5_PERSONAL_ACCESS_TOKEN", "Personal access token")
    ),
    _provider(
        "godaddy", "GoDaddy",
        _open("GODADDY_API_KEY", "API key"), _secret("GODADDY_API_SECRET", "API secret"),
    ),
    _provider(
        "namecheap", "Namecheap",
        _open("NAMECHEAP_API_USER", "User"), _secret("NAMECHEAP_API_KEY", "API key"),
        hint="This server's public address has to be on the list of Namecheap's API page.",
    ),
    _provider("linode", "Linode (Akamai)", _secret("LINODE_TOKEN")),
    _provider("vultr", "Vultr", _secret("VULTR_API_KEY", "API key")),
    _provider(
        "gcloud", "Google Cloud DNS",
        _open("GCE_PROJECT", "Project"),
        _secret("GCE_SERVICE_ACCOUNT", "Key of the service account, as JSON"),
    ),
    _provider(
        "azuredns", "Azure DNS",
        _open("AZURE_TENANT_ID", "Tenant ID"),
        _open("AZURE_CLIENT_ID", "Client ID"),
        _secret("AZURE_CLIENT_SECRET", "Client secret"),
        _open("AZURE_SUBSCRIPTION_ID", "Subscription ID"),
        _open("AZURE_RESOURCE_GROUP", "Resource group", needed=False),
    ),
    _provider("bunny", "bunny.net", _secret("BUNNY_API_KEY", "API key")),
    _provider("desec", "deSEC", _secret("DESEC_TOKEN", "Token")),
    _provider("dnsimple", "DNSimple", _secret("DNSIMPLE_OAUTH_TOKEN", "Token")),
    _provider("duckdns", "Duck DNS", _secret("DUCKDNS_TOKEN", "Token")),
    _provider("hostinger", "Hostinger", _secret("HOSTINGER_API_TOKEN")),
    _provider("infomaniak", "Infomaniak", _secret("INFOMANIAK_ACCESS_TOKEN", "Access token")),
    _provider(
        "inwx", "INWX", _open("INWX_USERNAME", "User"), _secret("INWX_PASSWORD", "Password")
    ),
    _provider("ionos", "IONOS", _secret("IONOS_API_KEY", "API key (prefix.secret)")),
    _provider(
        "netcup", "netcup",
        _open("NETCUP_CUSTOMER_NUMBER", "Customer number"),
        _secret("NETCUP_API_KEY", "API key"),
        _secret("NETCUP_API_PASSWORD", "API password"),
    ),
    _provider("netlify", "Netlify", _secret("NETLIFY_TOKEN", "Token")),
    _provider("ns1", "NS1", _secret("NS1_API_KEY", "API key")),
    _provider(
        "porkbun", "Porkbun",
        _open("PORKBUN_API_KEY", "API key"), _secret("PORKBUN_SECRET_API_KEY", "Secret API key"),
    ),
    _provider(
        "scaleway", "Scaleway",
        _secret("SCW_SECRET_KEY", "Secret key"), _open("SCW_PROJECT_ID", "Project", needed=False),
    ),
    _provider("vercel", "Vercel", _secret("VERCEL_API_TOKEN")),
    _provider(
        "pdns", "PowerDNS",
        _open("PDNS_API_URL", "Address of the API"), _secret("PDNS_API_KEY", "API key"),
    ),
    _provider(
        "rfc2136", "DNS update (RFC 2136)",
        _open("DNSUPDATE_NAMESERVER", "DNS server, for example ns.example.com:53"),
        _open("DNSUPDATE_TSIG_KEY", "Name of the TSIG key", needed=False),
        Variable("DNSUPDATE_TSIG_SECRET", "TSIG secret", is_needed=False),
        _open("DNSUPDATE_TSIG_ALGORITHM", "TSIG algorithm", needed=False),
        hint="For BIND, Knot, PowerDNS and other servers that take signed updates.",
    ),
    _provider(
        "acme-dns", "acme-dns", _open("ACME_DNS_API_BASE", "Address of the acme-dns server"),
        hint="The first attempt fails and says which CNAME record to make.",
    ),
    _provider(
        "httpreq", "HTTP request",
        _open("HTTPREQ_ENDPOINT", "Address that is asked"),
        _open("HTTPREQ_USERNAME", "User", needed=False),
        Variable("HTTPREQ_PASSWORD", "Password", is_needed=False),
        hint="A server of your own that makes the record: it gets POST /present and /cleanup.",
    ),
)  # fmt: skip

PROVIDERS: dict[str, DnsProvider] = {one.code: one for one in _ALL}
"""By code, the common ones first."""
