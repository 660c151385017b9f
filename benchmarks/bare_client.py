"""What Pagebind is measured against: the same calls with nothing but httpx.

``URL ROOT walk CONCURRENCY`` lists everything and throws the answers away; ``URL ROOT zip FILE`` lists, downloads page
after page and appends each to a zip. The token is in ALIST_TOKEN.
"""

from __future__ import annotations

import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


def listing(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    page, seen, total = 1, 0, 1
    while seen < total:
        body = {"path": path, "password": "", "page": page, "per_page": 200, "refresh": False}
        data = client.post("/api/fs/list", json=body).json()["data"]
        content = data["content"] or []
        yield from content
        page, seen, total = page + 1, seen + len(content), data["total"] if content else 0


def folders(client: httpx.Client, path: str) -> list[str]:
    return [f"{path}/{item['name']}" for item in listing(client, path) if item["is_dir"]]


def walk(client: httpx.Client, root: str, concurrency: int) -> None:
    with ThreadPoolExecutor(concurrency) as pool:
        level = [root]
        while level:
            level = [below for found in pool.map(lambda path: folders(client, path), level) for below in found]


def append_all(client: httpx.Client, path: str, book: str) -> None:
    for item in list(listing(client, path)):
        below = f"{path}/{item['name']}"
        if item["is_dir"]:
            append_all(client, below, book)
            continue
        page = client.get(f"/d{quote(below)}", params={"sign": item["sign"]}).raise_for_status()
        with zipfile.ZipFile(book, "a") as archive:
            archive.writestr(item["name"], page.content)


def main(url: str, root: str, what: str, argument: str) -> None:
    with httpx.Client(base_url=url, headers={"Authorization": os.environ["ALIST_TOKEN"]}, timeout=60) as client:
        if what == "walk":
            walk(client, root, int(argument))
        else:
            append_all(client, root, argument)


main(*sys.argv[1:])
