"""The price list of the cost model: USD, without free tiers, Google in us-central1, of September 2026."""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-09"


@dataclass(frozen=True, slots=True)
class Price:
    """``usd`` for ``per`` units of a service."""

    service: str
    unit: str
    usd: float
    per: float = 1.0

    def of(self, units: float) -> float:
        """USD for so many units."""
        return units * self.usd / self.per

    @property
    def tag(self) -> str:
        """The price as a list shows it."""
        return f"{self.usd:.10f}".rstrip("0") + (f" per {self.per:,.0f}" if self.per != 1 else "")


GCS_A = Price("Cloud Storage", "class A operations", 0.005, 1_000)
GCS_B = Price("Cloud Storage", "class B operations", 0.0004, 1_000)
GCS_STORAGE = Price("Cloud Storage", "GiB-months", 0.020)
SECRETS = Price("Secret Manager", "accesses", 0.03, 10_000)
FUNCTION_REQUESTS = Price("Cloud Run functions", "requests", 0.40, 1_000_000)
FUNCTION_CPU = Price("Cloud Run functions", "vCPU-seconds", 0.000024)
FUNCTION_MEMORY = Price("Cloud Run functions", "GiB-seconds", 0.0000025)
TASKS = Price("Cloud Tasks", "operations", 0.40, 1_000_000)
SCHEDULER = Price("Cloud Scheduler", "job-months", 0.10)
LOGGING = Price("Cloud Logging", "GiB", 0.50)

S3_A = Price("S3", "PUT, COPY and LIST requests", 0.005, 1_000)
S3_B = Price("S3", "GET and other requests", 0.0004, 1_000)
LAMBDA_REQUESTS = Price("Lambda", "requests", 0.20, 1_000_000)
LAMBDA_TIME = Price("Lambda", "GB-seconds", 0.0000166667)
SQS = Price("SQS", "requests", 0.40, 1_000_000)
