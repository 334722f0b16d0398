"""The certificates of the fake engine's proxy."""

from __future__ import annotations

from collections.abc import Collection

from cryptography import x509

from apps.engine.certificates import KeyPair, covers, facts_of, organisation
from apps.engine.fake_faults import Actor, Call
from apps.engine.handshake import Seen, Trust


class FakeCertificates(Actor):
    def __init__(self, journal: list[Call] | None = None) -> None:
        super().__init__(journal)
        self.certificates: tuple[KeyPair, ...] = ()
        """Those that were written."""
        self.served: dict[str, Seen | None] = {}
        """Host → what visitors get there, whatever was written."""

    def write_certificates(self, pairs: Collection[KeyPair]) -> bool:
        self.enter("write_certificates", str(len(pairs)))
        is_new, self.certificates = set(pairs) != set(self.certificates), tuple(pairs)
        return is_new

    def look_at_certificate(self, host: str, *, root: str = "") -> Seen | None:
        """What `served` says, else what was written for that name, which an authority whose root
        is given has signed, or one that browsers do not know."""
        self.enter("look_at_certificate", host)
        if host in self.served:
            return self.served[host]
        signer = organisation(x509.load_pem_x509_certificate(root.encode()).subject) if root else ""
        for pair in self.certificates:
            facts = facts_of(x509.load_pem_x509_certificate(pair.chain.encode()))
            if covers(facts.names, host):
                trust = Trust.LOCAL if facts.issuer == signer else Trust.NONE
                problem = "" if trust else "Browsers do not know who signed it."
                return Seen(facts, "TLSv1.3", trust, problem)
        return None
