"""The answers about folders and objects: `/api/fs/list`, `/api/fs/dirs`, `/api/fs/get`."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pagebind.demo.accounts import WRITE, Refused, User
from pagebind.demo.answers import Answer, envelope, raw_envelope, rfc3339, to_json, web_page
from pagebind.demo.bodies import Redirect
from pagebind.demo.drives import Entry, RemoteDrive
from pagebind.demo.faults import LISTING_FAULTS, Fault, Faults
from pagebind.demo.tree import Folder, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagebind.demo.dialects import Dialect
    from pagebind.demo.signs import Signs

_CACHED_BYTES = 512 << 20  # a million files take some 350 MB
_HOUR = 3_600_000_000_000
_TYPES = {
    **dict.fromkeys(("jpg", "jpeg", "png", "gif", "bmp", "svg", "ico", "swf", "webp", "avif", "tiff"), 5),
    **dict.fromkeys(("txt", "md", "json", "xml", "html", "css", "js", "ini", "conf", "log", "yml"), 4),
    **dict.fromkeys(("mp3", "flac", "ogg", "m4a", "wav"), 3),
    **dict.fromkeys(("mp4", "mkv", "avi", "mov", "webm"), 2),
}


@dataclass(frozen=True, slots=True)
class Page:
    """One rendered page of a listing: the JSON of ``content``, items in it, items in all, the drive's kind."""

    content: bytes
    items: int
    total: int
    provider: str


class RenderedPages:
    """Rendered pages of constant folders, the oldest dropped where there are too many bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: OrderedDict[tuple[Any, ...], Page] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[Any, ...]) -> Page | None:
        """The page under this key."""
        with self._lock:
            return self._pages.get(key)

    def put(self, key: tuple[Any, ...], page: Page) -> None:
        """Keep a page."""
        with self._lock:
            if key in self._pages:
                return
            self._pages[key] = page
            self._bytes += len(page.content)
            while self._bytes > _CACHED_BYTES:
                self._bytes -= len(self._pages.popitem(last=False)[1].content)


class Listings:
    """Answers about folders and objects. ``sign_all`` is the setting of that name."""

    def __init__(self, dialect: Dialect, tree: Tree, signs: Signs, faults: Faults) -> None:
        self._dialect = dialect
        self._tree = tree
        self._signs = signs
        self._faults = faults
        self._rendered = RenderedPages()
        self._listings = 0
        self.sign_all = True

    def needs_sign(self, path: str) -> bool:
        """Whether a download of this path wants a sign."""
        return self.sign_all or self._tree.protected(path)

    def list(self, path: str, body: dict[str, Any], user: User) -> Answer:
        """`/api/fs/list`. Raises: Refused."""
        self._tree.check_password(path, _string(body, "password"), user)
        refresh = bool(body.get("refresh"))
        if refresh and not user.may(WRITE):
            raise Refused(403, "Refresh without permission")
        struck = self._faults.strike(LISTING_FAULTS - {"wrong_hash"}, path, "list")
        faults = {fault.name: fault for fault in struck}
        if "list_html" in faults:
            return web_page()
        if "list_error" in faults:
            raise Refused(faults["list_error"].code or 500, faults["list_error"].message)
        number, length = self._dialect.window(_number(body, "page"), _number(body, "per_page"))
        page = self._page(path, 1 if "repeat_page" in faults else number, length, refresh=refresh, faults=faults)
        if "entries" in faults and number == 1:
            page = self._with_entries(page, faults["entries"].entries)
        data = self._dialect.listing(
            total=page.total,
            on_page=page.items,
            page=number,
            per_page=length,
            write=user.may(WRITE),
            provider=page.provider,
        )
        return raw_envelope(200, "success", b'{"content":' + page.content + b"," + to_json(data)[1:])

    def dirs(self, path: str, body: dict[str, Any], user: User) -> Answer:
        """`/api/fs/dirs`. Raises: Refused."""
        self._tree.check_password(path, _string(body, "password"), user)
        entries = [entry for entry in self._tree.folder(path).entries if entry.is_dir]
        data = [{"name": entry.name, "modified": rfc3339(entry.modified)} for entry in entries]
        return envelope(200, "success", data or None)

    def get(self, path: str, body: dict[str, Any], user: User, host: str) -> Answer:
        """`/api/fs/get`. Raises: Refused."""
        self._tree.check_password(path, _string(body, "password"), user)
        entry, mount = self._tree.find(path)
        entry = self._with_wrong_hash(entry, path)
        raw_url = ""
        if not entry.is_dir:
            raw_url = self._link(path, host)
        above = path.rpartition("/")[0] or "/"
        fields = self._item(above, entry) | {"raw_url": raw_url, "readme": "", "header": ""}
        if entry.is_dir:
            # A folder looked up by itself keeps the size that the file system gives it, and no type.
            fields |= {"type": 0, "size": 4096 if self._dialect.finds_by_stat and mount else 0}
        fields["provider"] = self._tree.provider(mount) if mount else "unknown"
        if self._dialect.pages:
            fields["web_proxy"] = False
        return envelope(200, "success", fields | {"related": None})

    def _link(self, path: str, host: str) -> str:
        mount = self._tree.find(path)[1]
        if mount is not None and isinstance(mount.drive, RemoteDrive):
            content = self._tree.open(path)[1]
            assert isinstance(content, Redirect)
            return content.url
        sign = f"?sign={self._signs.sign(path)}" if self.needs_sign(path) else ""
        return f"http://{host}/p{quote(path)}{sign}"

    def _page(self, path: str, number: int, length: int, *, refresh: bool, faults: dict[str, Fault]) -> Page:
        key = (path, number, length, self._signs.key_number, self.sign_all)
        constant = not self._faults and self._signs.lifetime is None and self._tree.constant(path)
        page = self._rendered.get(key) if constant else None
        if page is not None:
            return page
        folder = self._changed(path, self._folder(path, refresh=refresh, faults=faults), faults)
        span = length if length > 0 else max(len(folder.entries), 1)
        shown = folder.entries[(number - 1) * span : number * span]
        total = len(folder.entries) + (faults["total_lies"].extra if "total_lies" in faults else 0)
        page = Page(self._render(path, shown), len(shown), total, folder.provider)
        if constant:
            self._rendered.put(key, page)
        return page

    def _folder(self, path: str, *, refresh: bool, faults: dict[str, Fault]) -> Folder:
        try:
            return self._tree.folder(path, refresh=refresh)
        except Refused:
            if "entries" not in faults:
                raise
            return Folder([], "unknown")

    def _with_entries(self, page: Page, entries: str) -> Page:
        """A first page with more on it."""
        self._listings += 1
        more = entries.replace("{n}", str(self._listings)).encode().strip()
        content = more if page.content == b"null" else page.content[:-1] + b"," + more[1:]
        count = len(json.loads(entries))
        return replace(page, content=content, items=page.items + count, total=page.total + count)

    def _changed(self, path: str, folder: Folder, faults: dict[str, Fault]) -> Folder:
        """The folder as the faults make it."""
        if not self._faults:
            return folder
        entries = [self._with_wrong_hash(entry, f"{path}/{entry.name}") for entry in folder.entries]
        if "list_empty" in faults:
            entries = []
        if "shrunk" in faults:
            fault = faults["shrunk"]
            entries = [one for one in entries if one.name not in fault.names]
            entries = entries if fault.names else entries[: max(len(entries) - fault.drop, 0)]
        if "moving_times" in faults:
            self._listings += 1
            shift = self._listings * _HOUR
            entries = [replace(one, modified=one.modified + shift, created=one.created + shift) for one in entries]
        return Folder(entries, folder.provider)

    def _with_wrong_hash(self, entry: Entry, path: str) -> Entry:
        if not entry.hashes or not self._faults.strike({"wrong_hash"}, path, "list"):
            return entry
        return replace(entry, hashes={kind: digest[::-1] for kind, digest in entry.hashes.items()})

    def _render(self, path: str, entries: Sequence[Entry]) -> bytes:
        if not entries:
            return b"null"
        own = {"label_list": None} if self._dialect.pages else {}
        return to_json([self._item(path, entry) | own for entry in entries])

    def _item(self, above: str, entry: Entry) -> dict[str, Any]:
        path = f"{above.rstrip('/')}/{entry.name}"
        hashes = None if entry.hashes is None else dict(entry.hashes)
        fields = {
            "name": entry.name,
            "size": entry.size,
            "is_dir": entry.is_dir,
            "modified": rfc3339(entry.modified),
            "created": rfc3339(entry.created),
            "sign": "" if entry.is_dir or not self.needs_sign(path) else self._signs.sign(path),
            "thumb": "",
            "type": 1 if entry.is_dir else _TYPES.get(entry.name.rpartition(".")[2].lower(), 0),
            "hashinfo": "null" if hashes is None else to_json(hashes).decode(),
            "hash_info": hashes,
        }
        return self._dialect.item(fields, drive_path=entry.path, path=path)


def _string(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    return value if isinstance(value, str) else ""


def _number(body: dict[str, Any], name: str) -> int:
    value = body.get(name, 0)
    return value if isinstance(value, int) else 0
