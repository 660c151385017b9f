"""What Google's own library is answered at the door of an account that may do some things."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from google.api_core.exceptions import Forbidden, NotFound
from tests.infra.rights import Grant, Granted
from tests.rehearsal.buckets import Buckets
from tests.rehearsal.doors import BucketDoor, Denied, bucket_resource, object_resource

from pagebind.adapters.stores.gcs import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagebind.demo.object_stores import GcsServer

pytestmark = pytest.mark.xdist_group("doors of buckets")

ACCOUNT = "somebody@project.iam.gserviceaccount.com"
LARGE = 9 * 2**20


class Visit(NamedTuple):
    """A client at a door; what it is denied is noted."""

    name: str
    buckets: Buckets
    bucket: Any
    denied: list[Denied]

    def put(self, *names: str) -> None:
        """Past the door."""
        for name in names:
            self.buckets.put(self.name, name, name.encode())

    @property
    def permissions(self) -> list[str]:
        return [one.permission.removeprefix("storage.objects.") for one in self.denied]


@pytest.fixture
def visit(gcs_server: GcsServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    """By the roles of the test's parameter, each with the prefix below which it holds, or an empty one."""
    name, denied = f"bucket-{secrets.token_hex(6)}", list[Denied]()
    grants = [
        Grant(
            f"serviceAccount:{ACCOUNT}",
            f"roles/storage.{role}",
            bucket_resource(name),
            f'resource.name.startsWith("{object_resource(name, prefix)}")' if prefix else "",
        )
        for role, prefix in request.param
    ]
    rights = Granted(tuple(grants))
    with Buckets(gcs_server, [name], "") as buckets, BucketDoor(buckets, ACCOUNT, rights, denied) as door:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", door.url)
        client = connect(connections=4)
        yield Visit(name, buckets, client.bucket(name), denied)
        client.close()


WRITER = [("objectViewer", ""), ("objectUser", "mine/")]


@pytest.mark.parametrize("visit", [WRITER], indirect=True)
def test_who_may_write_below_a_prefix_writes_there_alone(visit: Visit) -> None:
    visit.bucket.blob("mine/a").upload_from_string(b"first")
    visit.bucket.blob("mine/a").upload_from_string(b"second")
    visit.bucket.blob("mine/large", chunk_size=2**20).upload_from_string(bytes(LARGE))
    assert visit.bucket.blob("mine/a").download_as_bytes() == b"second"
    assert visit.bucket.blob("mine/large").download_as_bytes() == bytes(LARGE)
    with pytest.raises(Forbidden, match=r"storage\.objects\.create"):
        visit.bucket.blob("other/a").upload_from_string(b"")
    with pytest.raises(Forbidden, match=r"storage\.objects\.create"):
        visit.bucket.blob("other/large", chunk_size=2**20).upload_from_string(bytes(LARGE))
    assert visit.buckets.names(visit.name) == ["mine/a", "mine/large"]
    assert visit.denied == [
        Denied(ACCOUNT, "storage.objects.create", object_resource(visit.name, name))
        for name in ("other/a", "other/large")
    ]


@pytest.mark.parametrize("visit", [[("objectViewer", "parts/"), ("objectCreator", "")]], indirect=True)
def test_composing_wants_to_read_what_it_takes_and_to_delete_what_it_replaces(visit: Visit) -> None:
    visit.put("parts/a", "parts/b", "hidden/c", "there")
    visit.bucket.blob("new").compose([visit.bucket.blob("parts/a"), visit.bucket.blob("parts/b")])
    assert visit.buckets.read(visit.name, "new") == b"parts/aparts/b"
    with pytest.raises(Forbidden):
        visit.bucket.blob("newer").compose([visit.bucket.blob("parts/a"), visit.bucket.blob("hidden/c")])
    with pytest.raises(Forbidden):
        visit.bucket.blob("there").compose([visit.bucket.blob("parts/a")])
    assert visit.permissions == ["get", "delete"]


@pytest.mark.parametrize("visit", [[("objectViewer", "parts/"), ("objectCreator", "")]], indirect=True)
def test_so_does_copying(visit: Visit) -> None:
    visit.put("parts/a", "hidden/c", "there")
    visit.bucket.blob("new").rewrite(visit.bucket.blob("parts/a"))
    assert visit.buckets.read(visit.name, "new") == b"parts/a"
    with pytest.raises(Forbidden):
        visit.bucket.blob("newer").rewrite(visit.bucket.blob("hidden/c"))
    with pytest.raises(Forbidden):
        visit.bucket.blob("there").rewrite(visit.bucket.blob("parts/a"))
    assert visit.permissions == ["get", "delete"]


@pytest.mark.parametrize("visit", [[("objectUser", "mine/")]], indirect=True)
def test_who_may_not_list_is_not_told_what_is_missing(visit: Visit) -> None:
    with pytest.raises(Forbidden):
        list(visit.bucket.list_blobs(prefix="mine/"))
    with pytest.raises(Forbidden):
        visit.bucket.blob("mine/nothing").download_as_bytes()
    assert visit.permissions == ["list", "list"]


@pytest.mark.parametrize("visit", [[("objectViewer", "")]], indirect=True)
def test_who_may_list_is(visit: Visit) -> None:
    visit.put("a")
    assert [blob.name for blob in visit.bucket.list_blobs()] == ["a"]
    with pytest.raises(NotFound):
        visit.bucket.blob("nothing").download_as_bytes()
    assert visit.denied == []


@pytest.mark.parametrize("visit", [[("objectAdmin", "")]], indirect=True)
def test_what_is_about_the_bucket_is_no_right_on_objects(visit: Visit) -> None:
    with pytest.raises(Forbidden):
        visit.bucket.reload()
    assert visit.denied == [Denied(ACCOUNT, "storage.buckets.get", bucket_resource(visit.name))]
