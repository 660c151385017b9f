"""Which request is answered by what."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pagebind.demo.accounts import Accounts, Refused
from pagebind.demo.answers import Answer, Request, envelope, rfc3339, text, web_page
from pagebind.demo.drives import LocalDrive
from pagebind.demo.tree import Mount, Tree, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pagebind.demo.dialects import Dialect
    from pagebind.demo.downloads import Downloads
    from pagebind.demo.listings import Listings

_FOLDER_REQUESTS = {"/api/fs/list": "list", "/api/fs/dirs": "list", "/api/fs/get": "get"}


class Api:
    """All endpoints of one server."""

    def __init__(
        self, dialect: Dialect, accounts: Accounts, tree: Tree, listings: Listings, downloads: Downloads
    ) -> None:
        self._dialect = dialect
        self._accounts = accounts
        self._tree = tree
        self._listings = listings
        self._downloads = downloads

    def subject(self, request: Request) -> tuple[Any, str, str]:
        """The JSON body (or None), what kind of request it is, and the absolute path that it is about.

        A path is absolute here where the caller may not come in: faults strike before credentials are checked.
        """
        if request.path.startswith(("/d/", "/p/")):
            return None, "file", self._downloads.path(request)
        body = _json(request.body)
        kind = _FOLDER_REQUESTS.get(request.path, "other")
        if kind == "other" or not isinstance(body, dict) or not isinstance(body.get("path"), str):
            return body, kind, request.path
        try:
            user = self._accounts.caller(request.token).user
        except Refused:
            return body, kind, clean(body["path"])
        return body, kind, clean(f"{user.base_path}/{body['path']}")

    def answer(self, request: Request, body: Any, path: str) -> Answer:
        """Answer a request about ``path``; never raises."""
        if request.path.startswith(("/d/", "/p/")):
            return self._downloads.answer(request)
        try:
            return self._answer(request, body, path)
        except Refused as refused:
            return envelope(refused.code, refused.message)

    def _answer(self, request: Request, body: Any, path: str) -> Answer:
        endpoints: Mapping[str, Callable[[Request, dict[str, Any], str], Answer]] = {
            "GET /ping": self._ping,
            "HEAD /ping": self._ping,
            "GET /api/public/settings": self._settings,
            "POST /api/auth/login": self._login,
            "POST /api/auth/login/hash": self._login,
            "GET /api/auth/logout": self._logout,
            "GET /api/me": self._me,
            "GET /api/admin/storage/list": self._storages,
            "POST /api/fs/list": self._folders,
            "POST /api/fs/dirs": self._folders,
            "POST /api/fs/get": self._folders,
        }
        endpoint = endpoints.get(f"{request.method} {request.path}")
        return web_page() if endpoint is None else endpoint(request, body if isinstance(body, dict) else {}, path)

    def _ping(self, *_: object) -> Answer:
        return text(200, "pong", "text/plain; charset=utf-8")

    def _settings(self, *_: object) -> Answer:
        return envelope(200, "success", dict(self._dialect.settings))

    def _me(self, request: Request, *_: object) -> Answer:
        caller = self._accounts.caller(request.token)
        return envelope(200, "success", self._dialect.me(caller.user, static=caller.static))

    def _logout(self, request: Request, *_: object) -> Answer:
        self._accounts.caller(request.token)
        self._accounts.logout(request.token)
        return envelope(200, "success")

    def _login(self, request: Request, body: dict[str, Any], _path: str) -> Answer:
        client = request.headers.get("client-id") or request.headers.get("user-agent", "")
        hashed = request.path.endswith("/hash")
        return envelope(200, "success", self._accounts.login(body, request.address, client, hashed=hashed))

    def _folders(self, request: Request, body: dict[str, Any], path: str) -> Answer:
        user = self._accounts.caller(request.token).user
        asked = body.get("path", "")
        if not isinstance(asked, str):
            raise Refused(400, _wrong_type(request.body.decode("utf-8", "replace")))
        if ".." in asked.split("/"):
            raise Refused(403, self._dialect.relative_path)
        if request.path.endswith("/list"):
            return self._listings.list(path, body, user)
        if request.path.endswith("/dirs"):
            return self._listings.dirs(path, body, user)
        return self._listings.get(path, body, user, request.host)

    def _storages(self, request: Request, *_: object) -> Answer:
        if not self._accounts.caller(request.token).user.admin:
            raise Refused(403, "You are not an admin")
        content = [self._storage(mount) for mount in self._tree.mounts]
        return envelope(200, "success", {"content": content, "total": len(content)})

    def _storage(self, mount: Mount) -> dict[str, Any]:
        drive = mount.drive
        return {
            "id": mount.number,
            "mount_path": mount.path,
            "order": mount.number - 1,
            "driver": self._tree.provider(mount),
            "cache_expiration": int(drive.cache_seconds // 60),
            "status": drive.status,
            "addition": self._addition(mount),
            "remark": "",
            "modified": rfc3339(mount.modified),
            "disabled": False,
            "disable_index": False,
            "enable_sign": False,
            "order_by": "name",
            "order_direction": "asc",
            "extract_folder": "front",
            "web_proxy": False,
            "webdav_policy": "native_proxy",
            "proxy_range": False,
            "down_proxy_url": "",
            **self._dialect.storage_fields,
        }

    def _addition(self, mount: Mount) -> str:
        """The settings of a storage, as a string of JSON; what the driver fills in is there only where it came up."""
        drive = mount.drive
        if not isinstance(drive, LocalDrive):
            return "{}"
        values: dict[str, Any] = dict.fromkeys(self._dialect.local_fields, False)
        for name in ("thumb_cache_folder", "thumb_concurrency", "thumb_pixel", "recycle_bin_path"):
            if name in values:
                values[name] = ""
        values["root_folder_path"] = drive.root
        values["video_thumb_pos"] = "20%" if drive.worked_when_mounted else ""
        values["show_hidden"] = True
        values["mkdir_perm"] = "777"
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _json(content: bytes) -> Any:
    """What a body says, None where it is no JSON; halves of surrogate pairs are read as U+FFFD, as Go reads them."""
    try:
        body = json.loads(content or b"null")
    except ValueError:
        return None
    if b"\\ud" not in content.lower():
        return body
    text = json.dumps(body, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
    return json.loads(text.decode("utf-16-le", "replace"))


def _wrong_type(body: str) -> str:
    """What the servers' JSON reader says about a path that is no string."""
    match = re.search(r'"path"\s*:\s*(.)', body, re.DOTALL)
    found, place = (match.group(1), match.end()) if match else ("}", len(body))
    shown = f"found {found}, error found in #{place} byte of ...|{body}|..., bigger context ...|{body}|..."
    return f'handles.ListReq.Path: ReadString: expects " or n, but {shown}'
