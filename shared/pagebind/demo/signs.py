"""The signs of download links."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

from pagebind.demo.accounts import Refused

if TYPE_CHECKING:
    from collections.abc import Callable


class Signs:
    """Signs paths as Alist does: ``base64url(HMAC-SHA256(key, path:expire)):expire``, 0 for "never expires".

    Attributes:
        lifetime: seconds that a new sign is good for, or None for ever.
        key_number: grows with each new key; what was rendered with an older one is stale.
    """

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        self._key = key.encode()
        self._clock = clock
        self.lifetime: float | None = None
        self.key_number = 0

    def rekey(self, key: str) -> None:
        """Take a new key: every sign from before becomes invalid."""
        self._key = key.encode()
        self.key_number += 1

    def sign(self, path: str, expire: int | None = None) -> str:
        """The sign of an absolute path, by default with this server's own lifetime."""
        if expire is None:
            expire = 0 if self.lifetime is None else int(self._clock() + self.lifetime)
        digest = hmac.digest(self._key, f"{path}:{expire}".encode("utf-8", "surrogatepass"), "sha256")
        return f"{base64.urlsafe_b64encode(digest).decode()}:{expire}"

    def check(self, path: str, sign: str) -> None:
        """Raises: Refused with the words of the real servers, unless the sign is this path's and still good."""
        expire = sign.rsplit(":", 1)[-1]
        if not expire:
            raise Refused(401, "expire missing")
        if not expire.isascii() or not expire.isdigit():
            raise Refused(401, "expire invalid")
        if 0 < int(expire) < self._clock():
            raise Refused(401, "sign expired")
        if not hmac.compare_digest(sign.encode(), self.sign(path, int(expire)).encode()):
            raise Refused(401, "sign invalid")
