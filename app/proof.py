"""How a service proves that it is the one behind an address: it signs what it is asked with a key of its SECRET_KEYS."""

import hmac
import re
from collections.abc import Sequence

CHALLENGE = "Greenroom-Challenge"
PROOF = "Greenroom-Proof"
PURPOSE = "proof of identity"
"""What the keys are derived for: a proof is good for nothing else."""

_CHALLENGE = re.compile(r"[0-9a-f]{32}")


def prove(keys: Sequence[bytes], challenge: str) -> str | None:
    """The proof for a challenge of 32 hex characters, by the newest key; None for anything else."""
    if not _CHALLENGE.fullmatch(challenge):
        return None
    return hmac.digest(keys[0], challenge.encode(), "sha256").hex()


def proves(keys: Sequence[bytes], challenge: str, proof: str) -> bool:
    """Whether one of these keys made the proof."""
    expected = [hmac.digest(key, challenge.encode(), "sha256").hex() for key in keys]
    return any(hmac.compare_digest(each.encode(), proof.encode("utf-8", "replace")) for each in expected)
