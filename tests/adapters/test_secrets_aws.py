"""`aws:` references, over a real socket."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
import stamina
from moto.server import ThreadedMotoServer
from tests.support.clock import FakeClock
from tests.support.secret_stores import CANARY, answering, everything_logged, refused, unavailable

from pagebind.adapters.secrets import KEPT_SECONDS, KeptSecrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "123456789012"
SESSION = "SESSIONCANARY"


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


@pytest.fixture(scope="module")
def moto() -> Iterator[Stores]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield Stores("http://{}:{}".format(*server.get_host_and_port()))
    server.stop()


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def aws(moto: Stores, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Both stores, empty; `KeptSecrets` goes to them."""
    httpx.post(f"{moto.url}/moto-api/reset").raise_for_status()
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
    return moto


class Stores:
    def __init__(self, url: str) -> None:
        self.url = url
        session = boto3.Session("AKID", "key", region_name="eu-west-1")
        self.secrets = session.client("secretsmanager", endpoint_url=url)
        self.secrets_in_the_west = session.client("secretsmanager", endpoint_url=url, region_name="us-west-2")
        self.parameters = session.client("ssm", endpoint_url=url)

    def secret(self, name: str, **content: Any) -> str:
        arn: str = self.secrets.create_secret(Name=name, **content)["ARN"]
        return arn

    def parameter(self, name: str, value: str, kind: str = "SecureString", *, overwrite: bool = False) -> None:
        self.parameters.put_parameter(Name=name, Value=value, Type=kind, Overwrite=overwrite)


def test_a_secret_by_name_or_arn(aws: Stores) -> None:
    arn = aws.secret("alist/token", SecretString="value\n")
    aws.secret("binary", SecretBinary=b"bytes")
    secrets = KeptSecrets({})
    assert secrets.get("aws:alist/token") == "value"
    assert secrets.get(f"aws:{arn}") == "value"
    assert secrets.get("aws:binary") == "bytes"


@pytest.mark.parametrize("kind", ["String", "SecureString"])
def test_a_parameter_by_name_or_arn_decrypted(aws: Stores, kind: str) -> None:
    aws.parameter("/alist/token", "value", kind)
    secrets = KeptSecrets({})
    assert secrets.get("aws:ssm:/alist/token") == "value"
    assert secrets.get(f"aws:arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/alist/token") == "value"


@pytest.mark.parametrize("name", ["token", "/alist/token"])
def test_a_name_alone_is_looked_for_in_both_stores(aws: Stores, name: str) -> None:
    aws.parameter(name, "of the parameter")
    assert KeptSecrets({}).get(f"aws:{name}") == "of the parameter"
    aws.secret(name, SecretString="of the secret")
    first = "of the parameter" if name.startswith("/") else "of the secret"
    assert KeptSecrets({}).get(f"aws:{name}") == first
    aws.parameters.delete_parameter(Name=name)
    assert KeptSecrets({}).get(f"aws:{name}") == "of the secret"


def test_an_arn_names_its_region(aws: Stores) -> None:
    arn = aws.secrets_in_the_west.create_secret(Name="far", SecretString="value")["ARN"]
    assert KeptSecrets({}).get(f"aws:{arn}") == "value"
    refused(KeptSecrets({}), "aws:far")


def test_a_rotated_secret_counts_after_five_minutes_or_when_forgotten(aws: Stores) -> None:
    clock = FakeClock()
    secrets = KeptSecrets({}, clock)
    aws.parameter("/t", "1")
    assert secrets.get("aws:/t") == "1"
    aws.parameter("/t", "2", overwrite=True)
    clock.advance(KEPT_SECONDS - 1)
    assert secrets.get("aws:/t") == "1"
    clock.advance(1)
    assert secrets.get("aws:/t") == "2"
    aws.parameter("/t", "3", overwrite=True)
    secrets.forget("aws:/t")
    assert secrets.get("aws:/t") == "3"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "neither Secrets Manager nor Parameter Store has it"),
        ("/none", "neither Parameter Store nor Secrets Manager has it"),
        ("ssm:none", "Parameter Store does not have it"),
        (f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/none", "Parameter Store does not have it"),
        (f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:none-AbCdEf", "Secrets Manager does not have it"),
    ],
)
def test_a_reference_that_leads_nowhere_says_where_it_was_looked_for(aws: Stores, name: str, message: str) -> None:
    error = refused(KeptSecrets({}), f"aws:{name}")
    assert error.message == f"aws:{name} leads nowhere: {message}"
    assert "make the " in error.fix


def test_what_is_no_secret_is_refused_as_in_a_file(aws: Stores) -> None:
    aws.secret("lines", SecretString=f"{CANARY}\n{CANARY}")
    aws.secret("binary", SecretBinary=f"{CANARY}\xe4".encode("latin-1"))
    aws.secret("blank", SecretString="\n")
    assert "more than one line" in refused(KeptSecrets({}), "aws:lines").message
    assert "not UTF-8" in refused(KeptSecrets({}), "aws:binary").message
    assert "is empty" in refused(KeptSecrets({}), "aws:blank").message


def test_a_secret_that_is_to_be_deleted(aws: Stores) -> None:
    aws.secret("t", SecretString=CANARY)
    aws.secrets.delete_secret(SecretId="t")
    assert refused(KeptSecrets({}), "aws:t").message == "aws:t leads nowhere: it is marked for deletion"


def error_body(code: str, text: str = "") -> str:
    return json.dumps({"__type": code, "message": text})


DENIED = (400, error_body("AccessDeniedException", f"User: arn:aws:iam::{ACCOUNT}:user/x is not authorized"))
NO_SECRET = (400, error_body("ResourceNotFoundException", "Secrets Manager can't find the specified secret."))


@pytest.mark.parametrize(
    ("name", "answers", "message", "fix"),
    [
        ("ssm:t", [DENIED], "may not be read from Parameter Store by this account", "grant ssm:GetParameter on it"),
        ("t", [DENIED], "may not be read from Secrets Manager by this account", "for a parameter, write aws:ssm:NAME"),
        ("t", [DENIED], "may not be read from Secrets Manager", "grant secretsmanager:GetSecretValue on it"),
        ("/t", [DENIED], "may not be read from Parameter Store", "for a secret, write its whole ARN"),
        (
            "t",
            [NO_SECRET, DENIED],
            "Secrets Manager does not have it, and Parameter Store may not be asked",
            "make the secret, or, for a parameter, grant ssm:GetParameter",
        ),
        ("t", [(400, error_body("AccessDeniedException", "Access to KMS is not allowed"))], "decrypted", "kms:Decrypt"),
        ("t", [(400, error_body("DecryptionFailure"))], "cannot be decrypted", "KMS key"),
        ("t", [(400, error_body("UnrecognizedClientException"))], "AWS refuses the credentials", "AWS_ACCESS_KEY_ID"),
        ("ssm:t", [(403, error_body("ExpiredTokenException"))], "AWS refuses the credentials", "AWS_ACCESS_KEY_ID"),
        ("t", [(400, error_body("Odd"))], "is refused by Secrets Manager: Odd", "change the reference"),
    ],
)
def test_refusals_say_what_is_missing(
    name: str, answers: list[tuple[int, str]], message: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(*answers) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        error = refused(KeptSecrets({}), f"aws:{name}")
    assert error.message.startswith(f"aws:{name} ")
    assert message in error.message
    assert fix in error.fix


TROUBLES = [
    (400, error_body("ThrottlingException", "Rate exceeded")),
    (500, error_body("InternalServiceError")),
    (503, "<html>no</html>"),
    (200, f"<html>{CANARY}: pay for this network</html>"),
    (200, "{}"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_that_passes_is_not_seen(trouble: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(trouble, trouble, (200, json.dumps({"SecretString": "value"}))) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert KeptSecrets({}).get("aws:t") == "value"


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_store_in_trouble_is_no_wrong_configuration(
    trouble: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(trouble) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        unavailable(KeptSecrets({}), "aws:t")
        unavailable(KeptSecrets({}), "aws:ssm:t")
    assert "EndpointConnectionError" in unavailable(KeptSecrets({}), "aws:t").message


@pytest.mark.parametrize(
    ("without", "with_", "message", "fix"),
    [
        ("AWS_ACCESS_KEY_ID", {}, "credentials", "AWS_ACCESS_KEY_ID"),
        ("AWS_DEFAULT_REGION", {}, "no AWS region is set", "AWS_DEFAULT_REGION"),
        ("AWS_SESSION_TOKEN", {"AWS_PROFILE": "none"}, "there is no AWS profile none", "AWS_PROFILE"),
        ("AWS_SESSION_TOKEN", {"AWS_ENDPOINT_URL": "nowhere"}, "the address of AWS is no URL", "AWS_ENDPOINT_URL"),
    ],
)
def test_what_boto3_needs(
    without: str, with_: dict[str, str], message: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(without)
    for name, value in with_.items():
        monkeypatch.setenv(name, value)
    error = refused(KeptSecrets({}), "aws:t")
    assert error.message.startswith("aws:t cannot be read: ")
    assert message in error.message
    assert fix in error.fix


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pagebind.adapters.secrets.aws", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert refused(KeptSecrets({}), "aws:t").fix == 'pip install "pagebind[s3]"'


def test_no_log_holds_a_secret(aws: Stores) -> None:
    aws.secret("t", SecretString=CANARY)
    aws.parameter("p", CANARY)
    with everything_logged("boto3", "botocore") as logged:
        secrets = KeptSecrets({})
        assert secrets.get("aws:t") == secrets.get("aws:ssm:p") == CANARY
    assert any("botocore" in text for text in logged.texts)
    assert not logged.holds(CANARY)
    assert not logged.holds(SESSION)
