"""Where Alist 3.45, Alist 3.63 and OpenList 4.2 answer differently, as recorded from the real servers."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagebind.demo.accounts import User

_SETTINGS: Mapping[str, str] = {
    "allow_mounted": "true",
    "default_page_size": "30",
    "filename_char_mapping": '{"/": "|"}',
    "hide_files": "/\\/README.md/i",
    "ignore_direct_link_params": "sign,alist_ts",
    "pagination_type": "all",
    "preview_archives_by_default": "true",
    "site_title": "AList",
}

_READER = 3  # the first role that is not built in

# OpenList answers a refused download with a page of this kind; its fixed part is as long as the real one's.
_ERROR_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="UTF-8" />
    <meta name="color-scheme" content="dark light" />
    <meta name="robots" content="noindex" />
    <title>{status}</title>
    <style>body {{ font-family: serif; text-align: center }}</style>
</head>
<body>
    <h1>{status}</h1>
<hr>
    <p>{message}</p>
</body>
</html>"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of server.

    Attributes:
        name: as asked for: ``alist-3.45``, ``alist-3.63`` or ``openlist-4.2``.
        settings: what ``/api/public/settings`` answers.
        admin_id: ``admin`` and ``guest`` were numbered in another order once.
        admin_permission: the bits of an administrator.
        role_as_list: roles are a list, and ``/api/me`` names them.
        devices: sessions belong to devices, and a logout ends all of one device.
        wrong_password: code and message of a login with a wrong password.
        unknown_user: the same for a user that does not exist.
        relative_path: the message about ``..`` in a path.
        pages: listings are paged by 200, at most 500, and say so in the answer.
        item_paths: listed items carry the drive's own path.
        unescapes_twice: the path of a download is unescaped twice.
        error_pages: a refused download is an HTML page with its own status, not JSON with 200.
        finds_by_stat: a local object is looked up itself, not in its parent's listing.
        remote_driver: what the driver for another server of its kind is called.
        storage_fields: fields of ``/api/admin/storage/list`` that only this server has.
        local_fields: the names of the settings of a ``Local`` storage, in order.
    """

    name: str
    settings: Mapping[str, str]
    admin_id: int
    admin_permission: int
    role_as_list: bool
    devices: bool
    wrong_password: tuple[int, str]
    unknown_user: tuple[int, str]
    relative_path: str
    pages: bool
    item_paths: bool
    unescapes_twice: bool
    error_pages: bool
    finds_by_stat: bool
    remote_driver: str
    storage_fields: Mapping[str, Any]
    local_fields: tuple[str, ...]

    @property
    def token_prefix(self) -> str:
        """What its static tokens begin with."""
        return self.name.split("-", 1)[0]

    @property
    def missing(self) -> str:
        """How a missing object is called."""
        return "failed to get obj: object not found" if self.finds_by_stat else "object not found"

    def window(self, page: int, per_page: int) -> tuple[int, int]:
        """The page and its length that are answered to what was asked for; a length below 0 means everything."""
        if not self.pages:
            return max(page, 1), per_page if per_page > 0 else -1
        if per_page == -1:
            return 1, -1
        return max(page, 1), min(per_page, 500) if per_page > 0 else 200

    def me(self, user: User, *, static: bool) -> dict[str, Any]:
        """The data of ``/api/me``; ``static`` says that the static token was sent."""
        data: dict[str, Any] = {
            "id": user.number,
            "username": user.name,
            "password": "",
            "base_path": user.base_path,
            "role": [user.role or _READER] if self.role_as_list else user.role,
            "disabled": user.disabled,
            "permission": user.permission,
            "sso_id": "",
        }
        if self.error_pages:
            data["allow_ldap"] = True
        data["otp"] = bool(user.otp_secret)
        if self.role_as_list:
            data["role_names"] = None if static else [user.role_name]
            data["permissions"] = None if static else [{"path": user.base_path, "permission": user.permission}]
        return data

    def listing(
        self, *, total: int, on_page: int, page: int, per_page: int, write: bool, provider: str
    ) -> dict[str, Any]:
        """The data of ``/api/fs/list`` beside ``content``."""
        data: dict[str, Any] = {"total": total}
        if self.pages:
            pages = -(-total // per_page) if per_page > 0 else int(total > 0)
            more = on_page > 0 and page < pages
            data |= {"filtered_total": total, "page": page, "per_page": per_page}
            data |= {"has_more": more, "pages_total": pages}
        data |= {"readme": "", "header": "", "write": True if self.error_pages else write}
        if self.error_pages:
            data["write_content_bypass"] = False
        data["provider"] = "unknown" if self.error_pages else provider
        return data

    def item(self, fields: dict[str, Any], *, drive_path: str, path: str) -> dict[str, Any]:
        """One listed item: the fields that all servers have, and those that only this one has."""
        if self.item_paths:
            own: dict[str, Any] = {"id": "", "path": drive_path}
            if self.pages:
                own["virtual_path"] = path
            fields = own | fields
        return fields

    def disposition(self, name: str) -> str:
        """The ``Content-Disposition`` of a download."""
        encoded = quote(name, safe="$&+:=@")
        if self.error_pages:
            return f"attachment; filename=\"{encoded}\"; filename*=utf-8''{encoded}"
        plain = name.encode("utf-8").decode("latin-1")
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"

    def error_page(self, code: int, message: str) -> str:
        """The HTML of a refused download."""
        status = f"{code} {HTTPStatus(code).phrase}"
        return _ERROR_PAGE.format(status=status, message=message)


_ALIST_345 = Dialect(
    name="alist-3.45",
    settings={**_SETTINGS, "version": "v3.45.0"},
    admin_id=1,
    admin_permission=12543,
    role_as_list=False,
    devices=False,
    wrong_password=(400, "password is incorrect"),
    unknown_user=(400, "failed find user: record not found"),
    relative_path="access using relative path is not allowed",
    pages=False,
    item_paths=True,
    unescapes_twice=False,
    error_pages=False,
    finds_by_stat=False,
    remote_driver="AList V3",
    storage_fields={},
    local_fields=(
        *("root_folder_path", "thumbnail", "thumb_cache_folder", "thumb_concurrency"),
        *("video_thumb_pos", "show_hidden", "mkdir_perm", "recycle_bin_path"),
    ),
)

_ALIST_363 = Dialect(
    name="alist-3.63",
    settings={
        **_SETTINGS,
        "default_page_size": "50",
        "device_evict_policy": "deny",
        "device_session_ttl": "86400",
        "version": "v3.63.0",
    },
    admin_id=2,
    admin_permission=65535,
    role_as_list=True,
    devices=True,
    wrong_password=(400, "username or password is incorrect"),
    unknown_user=(400, "username or password is incorrect"),
    relative_path="access using relative path is not allowed",
    pages=True,
    item_paths=True,
    unescapes_twice=True,
    error_pages=False,
    finds_by_stat=False,
    remote_driver="AList V3",
    storage_fields={"down_proxy_sign": True},
    local_fields=(
        *("root_folder_path", "thumbnail", "use_ffmpeg", "thumb_cache_folder", "thumb_concurrency", "thumb_pixel"),
        *("video_thumb_pos", "show_hidden", "mkdir_perm", "recycle_bin_path"),
    ),
)

_OPENLIST_42 = Dialect(
    name="openlist-4.2",
    settings={
        **_SETTINGS,
        "ignore_direct_link_params": "sign,openlist_ts,raw",
        "site_title": "OpenList",
        "version": "v4.2.5 (Commit: unknown) - Frontend: rolling - Build at: unknown",
    },
    admin_id=1,
    admin_permission=29183,
    role_as_list=False,
    devices=False,
    wrong_password=(401, "Invalid username or password"),
    unknown_user=(401, "Invalid username or password"),
    relative_path="using relative path is not allowed",
    pages=False,
    item_paths=False,
    unescapes_twice=False,
    error_pages=True,
    finds_by_stat=True,
    remote_driver="OpenList",
    storage_fields={"custom_cache_policies": "", "disable_proxy_sign": False},
    local_fields=(
        *("root_folder_path", "directory_size", "thumbnail", "thumb_cache_folder", "thumb_concurrency"),
        *("video_thumb_pos", "show_hidden", "mkdir_perm", "recycle_bin_path"),
    ),
)

DIALECTS: Mapping[str, Dialect] = {one.name: one for one in (_ALIST_345, _ALIST_363, _OPENLIST_42)}
