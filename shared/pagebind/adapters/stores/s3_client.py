"""The connection to S3 or a relative of it."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, PartialCredentialsError, ProfileNotFound

from pagebind.adapters.stores.s3_errors import CREDENTIALS_FIX
from pagebind.errors import ConfigError

Client = Any
"""A boto3 client: it has no types of its own. Safe for use by many threads."""

for _chatty in ("botocore.auth", "botocore.endpoint", "botocore.httpsession"):
    # At level DEBUG they write what they sign and send, and with it the session token.
    logging.getLogger(_chatty).setLevel(logging.INFO)

_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 25
"""Seconds between two bytes of an answer. It cannot be set by the request, and has to do for parts on a slow line, too:
what is on its way there when the last byte was handed to the system, some megabytes. A completion keeps the connection
alive by spaces at AWS; one whose answer was lost is asked for again."""

_DEFAULT_REGION = "us-east-1"


def connect(*, endpoint: str | None, region: str | None, addressing: str, checksums: str, connections: int) -> Client:
    """A client with the credentials that boto3 finds. Nothing is contacted, except where credentials come from.

    Args:
        endpoint: URL of a relative of S3; None for AWS, or what AWS_ENDPOINT_URL says.
        region: None for what boto3 finds, else us-east-1.
        addressing: ``path``, ``virtual`` (the bucket in the host name) or ``auto``: path at relatives, which seldom
            have host names for buckets.
        checksums: ``on``, ``off`` or ``auto``: on at AWS, off at relatives, of which some refuse them; there what is
            sent is proved by its MD5.
        connections: so many requests may be under way at once.

    Raises:
        ConfigError: no credentials, a profile that does not exist, an endpoint that is no URL.
    """
    try:
        session = boto3.session.Session()
        if session.get_credentials() is None:
            raise ConfigError("no credentials for the S3 store were found", fix=CREDENTIALS_FIX)

        def make(*, relative: bool) -> Client:
            client = session.client(
                "s3",
                endpoint_url=endpoint or None,
                region_name=region or session.region_name or _DEFAULT_REGION,
                config=_config(addressing, checksums, connections, relative=relative),
            )
            if relative:
                client.meta.events.register("before-call.s3.HeadBucket", _no_region)
            return client

        client = make(relative=bool(endpoint))
        if not endpoint and not is_aws(client):
            client = make(relative=True)
    except (BotoCoreError, ValueError) as error:
        raise _no_client(error) from error
    return client


def _no_client(error: Exception) -> ConfigError:
    match error:
        case ProfileNotFound():
            said = f"there is no AWS profile {error.kwargs['profile']}"
            return ConfigError(said, fix="correct AWS_PROFILE, or add it to ~/.aws/credentials")
        case PartialCredentialsError():
            said = f"of the credentials for the S3 store one half is missing: {error.kwargs['cred_var']}"
            return ConfigError(said, fix=CREDENTIALS_FIX)
        case ValueError():
            return ConfigError("the endpoint of the S3 store is no URL", fix="correct [store] endpoint")
    return ConfigError(f"no client for the S3 store: {type(error).__name__}", fix=CREDENTIALS_FIX)


def _no_region(**_: object) -> None:
    """Keep boto3 from looking for the bucket's region after a redirect.

    Where a server redirects everything, as one that wants https, it would do so without end.
    """
    raise ClientError({"ResponseMetadata": {"HTTPHeaders": {}}}, "HeadBucket")


def is_aws(client: Client) -> bool:
    """Whether it is AWS itself, by the host name."""
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def sends_checksums(client: Client) -> bool:
    """Whether bodies are proved by CRC-32C (else by MD5)."""
    return bool(client.meta.config.request_checksum_calculation == "when_supported")


def _config(addressing: str, checksums: str, connections: int, *, relative: bool) -> Config:
    if addressing == "auto":
        addressing = "path" if relative else "auto"
    when = "when_required" if checksums == "off" or (checksums == "auto" and relative) else "when_supported"
    return Config(
        s3={"addressing_style": addressing},
        request_checksum_calculation=when,
        response_checksum_validation=when,
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        tcp_keepalive=True,
        parameter_validation=False,  # of arguments that are all ours: it takes a twelfth of a request's time
    )
