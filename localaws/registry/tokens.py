"""Authorization tokens, as GetAuthorizationToken gives them, and URLs that carry a permission of their own.

A token says whose it is and until when, and is signed: nothing need be remembered of it, and it outlives a restart.
What its owner may do is asked of IAM with each request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass

from localaws.registry.refusals import RegistryError

# "Private registry authentication in Amazon ECR": the token is valid for 12 hours.
SECONDS = 12 * 3600
USER = "AWS"
_TIME = re.compile(r"[0-9]{1,12}")
EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


@dataclass(frozen=True)
class Owner:
    """Whose a token is: a principal, and the access key with which it asked for it."""

    arn: str
    access_key: str


class Tokens:
    """Makes and reads tokens with a secret."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(f"registry token {secret}".encode()).digest()

    def issue(self, owner: Owner, expires: float) -> str:
        """A token: what `docker login` is given as user name and password, joined by a colon, in base 64."""
        claims = json.dumps([owner.arn, owner.access_key, int(expires)]).encode()
        password = base64.urlsafe_b64encode(claims).decode().rstrip("=") + "." + self._signature(claims)
        return base64.b64encode(f"{USER}:{password}".encode()).decode()

    def owner(self, authorization: str, now: float) -> Owner | None:
        """Whose the token of an Authorization header is; None for none, or one that isn't ours.

        Raises RegistryError for one that has expired.
        """
        kind, _, encoded = authorization.partition(" ")
        claims = self._claims(encoded.strip()) if kind.lower() == "basic" else None
        if claims is None:
            return None
        arn, access_key, expires = json.loads(claims)
        if now >= expires:
            raise RegistryError("AccessDeniedException", EXPIRED)
        return Owner(arn, access_key)

    def grant(self, path: str, expires: float) -> str:
        """The query string that lets whoever has it read a path, until then."""
        return f"Expires={int(expires)}&Grant={self._signature(f'{path} {int(expires)}'.encode())}"

    def is_granted(self, path: str, query: dict[str, str], now: float) -> bool:
        """Whether a query string is such a grant for a path."""
        expires = query.get("Expires", "")
        if not _TIME.fullmatch(expires) or now >= int(expires):
            return False
        return hmac.compare_digest(
            self._signature(f"{path} {expires}".encode()).encode(), query.get("Grant", "").encode("utf-8", "replace")
        )

    def _claims(self, encoded: str) -> bytes | None:
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
            text, _, signature = password.partition(".")
            claims = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        known = user == USER and hmac.compare_digest(self._signature(claims), signature)
        return claims if known else None

    def _signature(self, text: bytes) -> str:
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()
