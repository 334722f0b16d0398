"""What is closed to addresses that somebody typed, for a Mist of this configuration."""

from urllib.parse import urlsplit

from apps.engine.data import EngineConfig
from apps.engine.egress import Rules


def egress_rules(config: EngineConfig) -> Rules:
    """Repositories and registries may be anywhere but at Mist's own doors and in the networks of
    apps. Of this machine's loopback addresses Mist's pages are open, which serve the sample."""
    engine = urlsplit(config.docker_host)
    by_tcp = engine.scheme in ("tcp", "http", "https") and engine.port is not None
    ports = {config.probe_port, config.proxy_api_port, *([engine.port] if by_tcp else [])}
    hosts = [config.proxy_host, (engine.hostname or "") if by_tcp else ""]
    return Rules(
        localhost=config.git_localhost,
        open_ports=frozenset({config.dashboard_port}),
        closed_ports=frozenset(port for port in ports if port is not None),
        closed_hosts=tuple(filter(None, hosts)),
        closed_networks=(config.network_pool,),
    )
