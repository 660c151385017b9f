"""Files by their ``/d/`` links."""

from __future__ import annotations

import random
import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from pagebind.adapters.alist import envelope
from pagebind.adapters.alist.api import USER_AGENT
from pagebind.adapters.alist.envelope import Answer, Endpoint, Refusal, Remedy
from pagebind.adapters.alist.http import NoAnswer, NotAUrl, TooSlow, host_of
from pagebind.adapters.alist.meter import SLOWEST
from pagebind.adapters.alist.redactor import said
from pagebind.adapters.alist.redirects import AddressRefused, redirect_refused
from pagebind.adapters.alist.retries import retry_after
from pagebind.adapters.alist.validators import Validators
from pagebind.errors import PageCut, PageFailed, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pagebind.adapters.alist.http import Connections, Headers, Reply
    from pagebind.adapters.alist.rates import Paces
    from pagebind.adapters.alist.redactor import Redactor
    from pagebind.adapters.alist.redirects import RedirectPolicy
    from pagebind.ports.clock import Clock
    from pagebind.ports.source import Download

_PARTIAL: Final = 206
_NOT_IN_RANGE: Final = 416
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_MOST_IDLE: Final = 3
"""Resumes in a row that brought nothing."""
_MOST_RESUMES: Final = 16
_SHORTEST_SECRET: Final = 12
"""Characters: shorter parts of links are words that errors are made of."""
_LONGEST_LINK: Final = 8192
"""Characters that are looked at; those of drives have up to two thousand."""
_NO_SECRETS: Final = frozenset({"user-agent", "referer", "origin", "accept", "accept-language"})
"""Headers whose values are public, and words of messages and names of hosts."""
_LARGEST_ERROR: Final = 64 * 1024
"""Bytes; an error in disguise is smaller, a larger body is a file."""
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,19})-\d{1,19}/(\d{1,19}|\*)", re.ASCII)
_LENGTH: Final = re.compile(r"\d{1,19}", re.ASCII)
_ONLY_HERE: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Headers that no other host gets, and nobody to whom another host leads. Of a configuration only the last can come."""
_OURS: Final = frozenset({"accept-encoding", "range", "if-range", "host", "connection", "content-length"})


class Downloads(NamedTuple):
    """What all downloads of a source share.

    Attributes:
        shown: makes what servers say fit to be shown.
        link: gives the link of a file under a sign.
        fresh_sign: gives a new sign by `fs/get`; both may raise what the API raises.
    """

    connections: Connections
    policy: RedirectPolicy
    clock: Clock
    paces: Paces
    shown: Redactor
    link: Callable[[Download, str], str]
    fresh_sign: Callable[[Download], str]

    def stream(self, wanted: Download) -> Iterator[bytes]:
        """The file's bytes, see `pagebind.ports.source.Source.download`."""
        return _Transfer(self, wanted).chunks()

    def redirect_target(self, wanted: Download) -> str | None:
        """The host that the link leads to, or None."""
        return _Transfer(self, wanted).first_hop()


class _Transfer:
    """One file on its way, over as many requests as it takes."""

    def __init__(self, shared: Downloads, wanted: Download) -> None:
        self._shared = shared
        self._wanted = wanted
        self._pace = shared.paces.at(wanted.path)
        self._sign = wanted.sign
        self._foreign_links: list[str] = []
        self._renewed = False
        self._have = wanted.start
        self._length: int | None = None
        self._version = Validators.parse(wanted.version)
        self._resumes = 0
        self._idle = 0
        self._waited = 0.0
        """Seconds that servers let us wait, but for the bodies that are the file's."""

    def chunks(self) -> Iterator[bytes]:
        while True:
            before, hopeless = self._have, False
            try:
                reply = self._open()
                if reply is None:
                    return
                yield from self._body(reply)
                if self._have >= self._wanted.size or self._length == 0:
                    return
                if self._wanted.in_one and self._have == self._length:
                    return
                reason = "the body ended early"
            except NoAnswer as failure:
                reason, hopeless = failure.reason, isinstance(failure, TooSlow)
            self._prepare_resume(reason, progress=self._have > before, hopeless=hopeless)

    def _body(self, reply: Reply) -> Iterator[bytes]:
        """What the answer brings, up to one byte more than is wanted."""
        limit = self._wanted.size + 1
        with self._waiting_for(reply):
            for chunk in reply.chunks():
                part = chunk[: limit - self._have]
                self._have += len(part)
                self._pace.bytes.take(len(part))
                yield part
                if self._have >= limit:
                    return

    @contextmanager
    def _waiting_for(self, reply: Reply) -> Iterator[None]:
        """Close it at the end, and add up what its body let us wait."""
        try:
            with closing(reply):
                yield
        finally:
            self._waited += reply.waited

    def first_hop(self) -> str | None:
        try:
            with closing(self._with_sign(self._first_answer)) as reply:
                if reply.status not in _REDIRECTS:
                    return None
                there = self._next_hop(self._shared.link(self._wanted, self._sign), reply.header("Location"))
                return self._host(there)
        except NoAnswer as failure:
            raise self._unreachable(failure.reason) from None

    def _prepare_resume(self, reason: str, *, progress: bool, hopeless: bool) -> None:
        """Wait before a resume. Raises: PageCut, ServerUnreachable: it is no use."""
        self._resumes += 1
        self._idle = 0 if progress else self._idle + 1
        hopeless = hopeless or (self._wanted.in_one and not self._nothing_came)
        if hopeless or self._idle > _MOST_IDLE or self._resumes > _MOST_RESUMES:
            if self._nothing_came and self._have:  # a PageCut would say that it cannot begin there
                raise self._unreachable(reason)
            raise self._cut(reason if hopeless else f"{reason}; asking for the rest did not help")
        if not progress:
            self._shared.clock.wait(0.25 * 2**self._idle * random.uniform(0.5, 1.0))  # noqa: S311  # spreads load, keeps no secret

    def _open(self) -> Reply | None:
        """The file from ``_have`` on; None if it ends there."""
        try:
            reply = self._with_sign(self._file)
        except NoAnswer as failure:
            if self._nothing_came and not failure.connected:
                raise self._unreachable(failure.reason) from None
            raise
        try:
            whole = bool(self._have) and self._check_range(reply)
        except PageCut:
            reply.close()
            raise
        if self._nothing_came:
            self._note(reply)
        if whole:
            reply.close()
            return None
        self._version = self._version.with_those_of(Validators.of(reply.header))
        return reply

    @property
    def _nothing_came(self) -> bool:
        """No byte yet: what is wrong now was so from the beginning."""
        return self._have == self._wanted.start

    def _note(self, reply: Reply) -> None:
        """Keep what the first answer says of the file, so that a resume is of the same."""
        length = reply.header("Content-Length")
        self._length = self._have + int(length) if _LENGTH.fullmatch(length) else None
        version = Validators.of(reply.header)
        if not self._have:
            self._version = version
        if self._wanted.noted is not None:
            told = self._wanted.version or version.text
            self._wanted.noted(told if self._shown().name(told) == told else "")

    def _check_range(self, reply: Reply) -> bool:
        """Whether the answer says that nothing is left. Raises: PageCut: it is not what follows ``_have``."""
        if reply.status == _NOT_IN_RANGE:
            if reply.header("Content-Range") == f"bytes */{self._have}":
                return True
            raise self._cut("the server has no such range")
        said = _CONTENT_RANGE.fullmatch(reply.header("Content-Range"))
        if reply.status != _PARTIAL or said is None:
            raise self._cut("the server ignores ranges")
        if int(said[1]) != self._have or (said[2] != "*" and int(said[2]) not in {self._wanted.size, self._length}):
            raise self._cut("the server gave another range or another file")
        if self._version.tell_from(Validators.of(reply.header)):
            raise self._cut("the file has changed meanwhile")
        return False

    def _with_sign(self, ask: Callable[[], Reply]) -> Reply:
        try:
            return ask()
        except Refusal as refusal:
            if refusal.remedy is not Remedy.SIGN or self._renewed:
                raise refusal.error from None
        self._renewed = True
        self._sign = self._shared.fresh_sign(self._wanted)
        try:
            return ask()
        except Refusal as refusal:
            raise refusal.error from None

    def _file(self) -> Reply:
        """An answer that is the file, or a part of it, as far as its head and an error in disguise can tell."""
        url = self._shared.link(self._wanted, self._sign)
        reply, host = self._follow(url)
        try:
            refusal = self._judged(reply, host)
        except BaseException:
            reply.close()
            raise
        if refusal is None:
            return reply
        reply.close()
        raise refusal

    def _judged(self, reply: Reply, host: str | None) -> Refusal | None:
        if reply.is_packed and reply.status in {envelope.OK, _PARTIAL}:
            raise self._failed(
                "the server packed the file (Content-Encoding), which it was asked not to",
                fix="look at what stands between Pagebind and the drive: it must not compress files",
            )
        good = {envelope.OK} if self._have == 0 else {envelope.OK, _PARTIAL, _NOT_IN_RANGE}
        if reply.status in good and not _is_error_in_disguise(reply):
            return None
        return self._refusal(reply, host, Endpoint.LINK if host is None else Endpoint.DRIVE)

    def _first_answer(self) -> Reply:
        self._pace.downloads.take()
        url = self._shared.link(self._wanted, self._sign)
        headers = [*self._headers(foreign=False), ("Range", "bytes=0-0")]
        reply = self._exchange(url, headers, redirected=False, foreign=False)
        if reply.status in _REDIRECTS:
            return reply
        if reply.status in {envelope.OK, _PARTIAL, _NOT_IN_RANGE} and not _is_error_in_disguise(reply):
            return reply
        with closing(reply):
            raise self._refusal(reply, None, Endpoint.LINK)

    def _follow(self, url: str) -> tuple[Reply, str | None]:
        """The answer at the end of all redirects, and the host that gave it if it is another."""
        home, here = _origin(url), url
        self._foreign_links.clear()
        self._pace.downloads.take()
        for redirects in range(_MOST_REDIRECTS + 1):
            foreign = _origin(here) != home
            if foreign:
                self._foreign_links.append(here)
            try:
                headers = self._request_headers(foreign=bool(self._foreign_links))
                reply = self._exchange(here, headers, redirected=bool(redirects), foreign=foreign)
            except NoAnswer as failure:
                if not foreign or isinstance(failure, TooSlow):
                    raise
                reason = f"{self._host(here)}: {self._shown().words(failure.reason)}"
                raise NoAnswer(reason, connected=True) from None
            if reply.status not in _REDIRECTS:
                return reply, self._host(here) if foreign else None
            with self._waiting_for(reply):
                reply.peek(_LARGEST_ERROR)
                here = self._next_hop(here, reply.header("Location"))
        raise self._failed(f"more than {_MOST_REDIRECTS} redirects, the last one to {self._host(here)}")

    def _exchange(self, url: str, headers: Headers, *, redirected: bool, foreign: bool) -> Reply:
        """Raises: NoAnswer; PageFailed: what is no URL is the fault of this one file's names, or of its drive."""
        self._check_waited()
        begun = self._shared.clock.monotonic()
        try:
            return self._shared.connections.exchange("GET", url, headers, away=foreign)
        except AddressRefused as refused:
            raise redirect_refused(refused.ground, self._host(url), path=self._wanted.path) from None
        except NotAUrl:
            if redirected:
                raise self._failed("the server redirects to what is not a URL") from None
            raise self._failed(
                f"its link has {len(url)} characters and is not a URL",
                fix="give the file, or the folders that it is in, shorter names",
            ) from None
        finally:
            self._waited += self._shared.clock.monotonic() - begun

    def _check_waited(self) -> None:
        """Raises: TooSlow: no redirect and no resume is worth more waiting."""
        came = self._have - self._wanted.start
        if self._waited > self._shared.connections.patience.in_all + came / SLOWEST:
            raise TooSlow

    def _next_hop(self, here: str, location: str) -> str:
        if not location:
            raise self._failed("the server redirects, and does not say where", fix="look at the drive behind this path")
        try:
            there = urljoin(here, location)
        except ValueError:
            raise self._failed("the server redirects to what is not a URL") from None
        self._shared.policy.check(there, path=self._wanted.path, show=self._host)
        return there

    def _request_headers(self, *, foreign: bool) -> Headers:
        headers = self._headers(foreign=foreign)
        if self._have:
            headers.append(("Range", f"bytes={self._have}-"))
            if self._version.condition:
                headers.append(("If-Range", self._version.condition))
        return headers

    def _headers(self, *, foreign: bool) -> Headers:
        kept = [
            (name, value)
            for name, value in self._wanted.headers.items()
            if (lower := name.lower()) not in _OURS and not (foreign and lower in _ONLY_HERE)
        ]
        if not any(name.lower() == "user-agent" for name, _ in kept):
            kept.append(("User-Agent", USER_AGENT))
        return [*kept, ("Accept", "*/*"), ("Accept-Encoding", "identity")]

    def _refusal(self, reply: Reply, host: str | None, endpoint: Endpoint) -> Refusal:
        body = reply.peek(_LARGEST_ERROR)
        opened = envelope.open_envelope(body)
        if opened is not None:
            message = opened.message
        else:
            message = envelope.words_of_page(body) if endpoint is Endpoint.LINK else ""
        shown = self._shown().knowing(*_parts(self._foreign_links))
        return envelope.judge(
            endpoint,
            Answer(
                server=host or "",
                path=self._wanted.path,
                status=reply.status,
                content_type=shown.name(reply.content_type),
                code=opened.code if opened is not None else None,
                words=shown.words(message),
                meant=said(message).lower(),
                retry_after=retry_after(reply.header("Retry-After"), self._shared.clock.now()),
            ),
        )

    def _host(self, url: str) -> str:
        """The URL's host, which may be made of what the servers before it know."""
        before = [link for link in self._foreign_links if link != url]
        return self._shown().knowing(*_parts(before)).name(host_of(url))

    def _shown(self) -> Redactor:
        """Knows what this file is asked for with."""
        secret = [value for name, value in self._wanted.headers.items() if name.lower() not in _NO_SECRETS]
        return self._shared.shown.knowing(self._sign, self._wanted.sign, *secret, ask=self._wanted.password)

    def _cut(self, reason: str) -> PageCut:
        path, have = self._wanted.path, self._have
        if self._nothing_came and have:
            return PageCut(f"{path} cannot be had from byte {have} on: {reason}", path=path)
        return PageCut(f"{path}: {have} of {self._wanted.size} bytes came: {reason}", path=path)

    def _failed(self, reason: str, fix: str = "") -> PageFailed:
        return PageFailed(f"{self._wanted.path}: {reason}", fix=fix, path=self._wanted.path)

    def _unreachable(self, reason: str) -> ServerUnreachable:
        return ServerUnreachable(
            f"{self._wanted.path}: the server cannot be reached: {reason}",
            fix="check [source] url, that the server runs, and the network between",
            path=self._wanted.path,
        )


def _parts(urls: Iterable[str]) -> list[str]:
    """Each part of other hosts' links: some of them are their signatures."""
    links = [urlsplit(url[:_LONGEST_LINK]) for url in urls]
    parts = [part for link in links for part in (*link.path.split("/"), *re.split("[&=]", link.query))]
    long = [part for part in parts if len(part) >= _SHORTEST_SECRET]
    return [*long, *map(unquote, long)]


def _is_error_in_disguise(reply: Reply) -> bool:
    """Whether the body is an HTML page, or an envelope that says that something went wrong."""
    if reply.content_type == "text/html":
        return True
    if reply.content_type != "application/json":
        return False
    body = reply.peek(_LARGEST_ERROR)
    opened = envelope.open_envelope(body) if len(body) <= _LARGEST_ERROR else None
    return opened is not None and opened.code != envelope.OK


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
