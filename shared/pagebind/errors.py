"""Every error that Pagebind raises, as one tree.

::

    PagebindError
    ├── UsageError              wrong words on the command line                       usage
    ├── ConfigError             a wrong value, an unknown key, a secret not found     config
    ├── SecretsUnavailable      where a secret is kept cannot be asked now            secrets
    ├── SourceError             the Alist or OpenList server
    │   ├── ServerUnreachable   no answer, a 5xx, not an Alist at all                 server
    │   ├── AuthRefused         credentials refused: nothing can be done without      auth
    │   │   └── LockedOut       too many failed logins; asking again prolongs it      auth
    │   ├── ListingFailed       one folder could not be listed                        listing_failed
    │   │   └── RefreshRefused  the account may not ask for a fresh listing           listing_failed
    │   └── PageFailed          one page could not be had                             page_failed
    │       ├── SignRefused     the link's sign has expired or is wrong               page_failed
    │       ├── PageCut         the body ended early or stalled                       page_failed
    │       └── PageWrong       what came is not the page that was listed             page_failed
    ├── QueueUnavailable        the queue of tasks                                    queue
    ├── NotifyFailed            a message, or a call of a reader, that did not go out notify
    │   └── NotifyRefused       ... and will not, before somebody mends something     notify
    └── StoreError              the object store                                      store
        ├── KeyMissing          nothing stands under this key                         store
        ├── ConditionFailed     the key exists, or holds another version              store
        ├── PartDamaged         a stored part is not what was recorded                store
        └── StoreUnavailable    full, read-only, forbidden, out of reach              store
            ├── AccessDenied    this account may not do that                          store
            ├── KeyBusy         another process is writing this key                   store
            └── KeyRefused      not this key: something else is in its way            store

Each class has a ``code`` (the contract of ``--json``) and knows by ``retryable`` whether the same call, made again
later, can succeed without anybody doing anything. ``message`` says in one line what is wrong, ``fix`` what to do.
Neither ever holds a token, a sign, a password or a provider's link.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

NOT_IN_A_LINE = "\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
"""Part of a regular expression's set: what a name on a server may hold and nothing that is shown may.

Control characters, line breaks, halves of surrogate pairs, and marks that turn the direction of the text.
"""

_NOT_IN_A_LINE = re.compile(f"[{NOT_IN_A_LINE}]")


class PagebindError(Exception):
    """Base of all errors.

    Attributes:
        message: what is wrong, one line.
        fix: what to do about it, one line; empty when there is nothing to do but wait.
        path: the server path, store key or file that it is about, or None.
        retry_after: seconds after which the other side asked to be called again, or None.
    """

    code: ClassVar[str] = "store"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, fix: str = "", path: str | None = None, retry_after: float | None = None
    ) -> None:
        self.message = on_one_line(message)
        self.fix = on_one_line(fix)
        super().__init__(self.message)
        self.path = path
        self.retry_after = retry_after


def on_one_line(text: str) -> str:
    r"""The text with what no line may hold, which names on servers do, as escapes: ``\n``, ``\x1b``, ``\u202e``.

    All else stays, also the joiners inside emoji and the wide space of CJK names.
    """
    return text if text.isprintable() else _NOT_IN_A_LINE.sub(lambda found: repr(found[0])[1:-1], text)


class UsageError(PagebindError):
    """The command was called with words that mean nothing here."""

    code = "usage"


class ConfigError(PagebindError):
    """The configuration cannot be used as it is."""

    code = "config"


class SecretsUnavailable(PagebindError):
    """The store of a secret gives no answer now, which says nothing about the configuration that refers to it."""

    code = "secrets"
    retryable = True


class SourceError(PagebindError):
    """The server that holds the pages."""

    code = "server"


class ServerUnreachable(SourceError):
    """No usable answer: refused connection, time-out, 5xx, HTML where JSON belongs."""

    retryable = True


class AuthRefused(SourceError):
    """The server refused the credentials; repeating the request cannot help."""

    code = "auth"


class LockedOut(AuthRefused):
    """The server refuses logins from this address for a while; every further try prolongs it."""


class ListingFailed(SourceError):
    """One folder could not be listed: nothing may be concluded from it."""

    code = "listing_failed"
    retryable = True


class RefreshRefused(ListingFailed):
    """A fresh listing needs a permission that this account lacks; a cached one may still be had."""

    retryable = False


class PageFailed(SourceError):
    """One page could not be had this time."""

    code = "page_failed"
    retryable = True


class SignRefused(PageFailed):
    """The sign of the link has expired or is wrong; a fresh one by fs/get may help."""


class PageCut(PageFailed):
    """The body ended before its length, or stalled."""


class PageWrong(PageFailed):
    """What came is not what was listed: another size, no known image, HTML or JSON under a picture's name.

    Drives in trouble serve such bodies for a while, so asking again can help.
    """


class QueueUnavailable(PagebindError):
    """Tasks cannot be created now; what was sent without them is handed out again in its next epoch."""

    code = "queue"
    retryable = True


class NotifyFailed(PagebindError):
    """A message did not go out, or a reader was not told. No book depends on it."""

    code = "notify"
    retryable = True


class NotifyRefused(NotifyFailed):
    """It cannot go out before somebody mends something: an address that is none, a secret that is missing or wrong."""

    retryable = False


class StoreError(PagebindError):
    """The object store. ``path`` is the key."""


class KeyMissing(StoreError):
    """Nothing stands under the key."""


class ConditionFailed(StoreError):
    """A conditional write or delete found another state than the one it named."""


class PartDamaged(StoreError):
    """A part is missing, or its bytes are not those that were recorded. ``path`` is the part's key."""

    @classmethod
    def gone(cls, key: str) -> Self:
        """The part is missing."""
        return cls(f"{key} is not there any more", path=key)

    @classmethod
    def differs(cls, key: str) -> Self:
        """The part is there, and not what it was."""
        return cls(f"{key} is not what was recorded when it was written", path=key)

    @classmethod
    def whole_differs(cls, key: str) -> Self:
        """Every part is right, and what they make under ``key`` is not."""
        return cls(f"{key} put together is not what its parts were to make", path=key)


class StoreUnavailable(StoreError):
    """The store cannot do this now: full, read-only, forbidden, not there."""

    retryable = True


class AccessDenied(StoreUnavailable):
    """This account may not do that; ``fix`` names the missing permission."""

    retryable = False


class KeyBusy(StoreUnavailable):
    """Another process is writing this one key, or died of it; ``retry_after`` says when that is over, if it is old."""


class KeyRefused(StoreUnavailable):
    """The store cannot do this with this one key: another kind of file stands there, or its name will not do."""

    retryable = False

    @classmethod
    def of_no_key(cls, key: str) -> Self:
        """This text is the key of no object, in this store or in any."""
        return cls(f"{key!r} is no key", fix="give the folder or file on the server another name", path=key)
