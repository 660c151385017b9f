"""Entries of Cloud Logging: as Cloud Run makes them of a line, and as the platform writes its own."""

from __future__ import annotations

import json
from typing import Any

from tests.support.terraform import PROJECT, REGION

OUT_OF_MEMORY = "Memory limit of 256 MiB exceeded with 262 MiB used. Consider increasing the memory limit."
"""Source: cloud.google.com/run/docs/troubleshooting#memory."""

_TRACE, _LABELS = "logging.googleapis.com/trace", "logging.googleapis.com/labels"
_MOVED = {"severity", "time", _TRACE, _LABELS}


def written(line: str, service: str) -> dict[str, Any]:
    """What becomes of a line on standard error.

    A JSON object is the payload, without the special fields that go into the entry; a message that is left alone, and
    any other line, is text. Source: cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields.
    """
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return {**_of_run(service, "stderr"), "textPayload": line}
    payload = {name: value for name, value in fields.items() if name not in _MOVED}
    return {
        **_of_run(service, "stderr"),
        "severity": fields.get("severity", "DEFAULT"),
        "timestamp": fields.get("time", ""),
        "trace": fields.get(_TRACE, ""),
        "labels": fields.get(_LABELS, {}),
        **({"textPayload": payload["message"]} if payload.keys() == {"message"} else {"jsonPayload": payload}),
    }


def system(text: str, service: str, severity: str = "ERROR") -> dict[str, Any]:
    """What Cloud Run says of an instance."""
    return {**_of_run(service, "varlog/system"), "severity": severity, "textPayload": text}


def request(status: int, service: str) -> dict[str, Any]:
    """Cloud Run's own entry about a request. An answer of 500 and above is an error, one of 400 and above a warning."""
    severity = "INFO" if status < 400 else "WARNING" if status < 500 else "ERROR"
    return {**_of_run(service, "requests"), "severity": severity, "httpRequest": {"status": status}}


def attempt(status: int, said: str, job: str) -> dict[str, Any]:
    """The end of a call by Cloud Scheduler; ``said`` is the status by its name in gRPC, empty where all went well.

    Source: cloud.google.com/scheduler/docs/reference/logging/rest, of the type AttemptFinished; its severity in
    cloud.google.com/scheduler/docs/monitor.
    """
    name = f"projects/{PROJECT}/locations/{REGION}/jobs/{job}"
    payload = {
        "@type": "type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished",
        "debugInfo": f"URL_CRAWLED. Original HTTP response code number = {status}",
        "jobName": name,
        "targetType": "HTTP",
    }
    return {
        "logName": f"projects/{PROJECT}/logs/cloudscheduler.googleapis.com%2Fexecutions",
        "resource": {
            "type": "cloud_scheduler_job",
            "labels": {"project_id": PROJECT, "location": REGION, "job_id": job},
        },
        "severity": "ERROR" if said else "INFO",
        "httpRequest": {"status": status},
        "jsonPayload": {**payload, "status": said} if said else payload,
    }


def _of_run(service: str, log: str) -> dict[str, Any]:
    """Source: cloud.google.com/run/docs/logging#log-resource."""
    return {
        "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2F{log.replace('/', '%2F')}",
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": PROJECT,
                "location": REGION,
                "service_name": service,
                "revision_name": f"{service}-00001-abc",
                "configuration_name": service,
            },
        },
    }
