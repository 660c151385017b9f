from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import cost, prices

COUNTED = cost.Counted(
    volume=cost.Operations(a=217, b=3, free=207),
    poll=cost.Operations(a=9, b=1),
    early=cost.Operations(a=6, b=2),
)
MEASURED = cost.Measured(
    page_lines=1.0,
    page_log=400.0,
    volume_lines=2.0,
    volume_log=700.0,
    poll_lines=1.0,
    poll_log=300.0,
    page_cpu=0.01,
    finalize_cpu=0.5,
    early_cpu=0.1,
    poll_cpu=0.05,
    task_cpu=0.001,
    start_cpu=1.0,
    finalize_requests=17.0,
    deletions=120.0,
    page_secrets=0.0,
    poll_secrets=1.0,
    due_own=1.25,
    due_before=1.25,
)
"""By functions whose finalizes come when they should."""

FEW = cost.Load(volumes=10, pages=100, page_bytes=2**30)


def units(lines: list[cost.Line], price: prices.Price) -> float:
    return sum(line.units for line in lines if line.price is price)


def binding(assumed: cost.Assumed, load: cost.Load = FEW, measured: cost.Measured = MEASURED) -> list[cost.Line]:
    return list(cost.on_google(COUNTED, measured, load, assumed))


def test_a_price_is_for_so_many_units() -> None:
    assert prices.GCS_A.of(215_000) == pytest.approx(1.075)
    assert prices.FUNCTION_CPU.of(1_000) == pytest.approx(0.024)


def test_a_price_is_shown_in_full() -> None:
    assert prices.FUNCTION_MEMORY.tag == "0.0000025"
    assert prices.TASKS.tag == "0.4 per 1,000,000"


def test_requests_share_the_waiting_but_not_the_processor() -> None:
    assert cost.Size(1, 1, 16).seconds(1.0, 0.01) == pytest.approx(1.01 / 16)
    assert cost.Size(1, 1, 80).seconds(0.3, 0.01) == pytest.approx(0.01), "the processor is what is waited for"
    assert cost.Size(0.5, 1, 1).seconds(1.0, 0.25) == pytest.approx(1.5), "half a processor takes twice as long"


def test_binding_is_the_sum_over_the_services() -> None:
    lines = binding(cost.Assumed())
    services = {line.price.service for line in lines}

    staged = 1000 * 2 / 720
    assert cost.total(lines, "Cloud Storage") == pytest.approx(2170 * 5e-6 + 30 * 4e-7 + staged * 0.02)
    assert cost.total(lines, "Cloud Tasks") == pytest.approx(2 * 1010 * 0.4e-6)
    logged = 1000 * (400 + 400) + 10 * (700 + 2 * 400) + 1010 * 1100
    assert cost.total(lines, "Cloud Logging") == pytest.approx(logged / 2**30 * 0.5)
    assert cost.total(lines) == pytest.approx(sum(cost.total(lines, service) for service in services))


def test_each_function_is_paid_for_the_seconds_of_its_instances() -> None:
    lines = binding(cost.Assumed())

    fetch = 1000 * 1.11 / 16
    finalize = 10 * ((17 + 120 / 12) * 0.1 + 0.5 * 6)
    poll = 1010 * 0.001 * 6
    assert units(lines, prices.FUNCTION_CPU) == pytest.approx(fetch + (finalize + poll) / 6)
    assert units(lines, prices.FUNCTION_MEMORY) == pytest.approx(fetch * 0.5 + (finalize + poll) * 0.25)
    assert units(lines, prices.FUNCTION_REQUESTS) == 1010


def test_the_platform_may_log_no_requests() -> None:
    spared = cost.total(binding(cost.Assumed())) - cost.total(binding(cost.Assumed(request_log=0)))

    assert spared == pytest.approx(1010 * 1100 / 2**30 * 0.5)


def test_a_finalize_that_comes_too_early_is_paid_for() -> None:
    assumed = cost.Assumed()
    too_early = replace(MEASURED, due_own=1.0, due_before=0.0)
    early = cost.early_finalizes(too_early, FEW, assumed)
    lines = binding(assumed, measured=too_early)

    assert early > 0
    assert units(lines, prices.GCS_A) == pytest.approx(10 * (217 + 6 * early))
    assert units(lines, prices.TASKS) == pytest.approx(2 * (1010 + 10 * early))


def test_who_waits_in_line_comes_when_the_pages_are_there() -> None:
    load, assumed = cost.Load(), cost.Assumed(in_flight=16, page_seconds=0.9)
    alone = replace(MEASURED, due_own=1.25, due_before=0.0)

    assert cost.early_finalizes(MEASURED, load, assumed) == 0
    assert cost.early_finalizes(alone, load, assumed) > 5
    assert cost.early_finalizes(alone, cost.Load(volumes=1), assumed) == 0, "nothing is before it"
    assert cost.early_finalizes(MEASURED, load, replace(assumed, page_seconds=3.0)) > 0, "the drive is slow"


def test_patience_doubles_up_to_ten_minutes() -> None:
    one = cost.Load(volumes=1, pages=16_000)  # 1,000 s at the rate that is expected

    def early(page_seconds: float) -> float:
        assumed = cost.Assumed(page_seconds=page_seconds, write_seconds=0.0, in_flight=16)
        return cost.early_finalizes(replace(MEASURED, page_cpu=0.0, due_own=1.0), one, assumed)

    assert [early(seconds) for seconds in (1.0, 1.01, 1.03, 1.07, 1.15, 1.31, 1.63, 2.23)] == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("volumes", "operations"), [(1, 9), (1_000, 9), (1_001, 13), (10_000, 45)])
def test_a_poll_lists_each_growing_prefix_once_for_1000_volumes(volumes: int, operations: int) -> None:
    assert cost.poll_of(COUNTED.poll, volumes).a == operations


def test_a_month_has_a_poll_every_interval() -> None:
    lines = list(cost.on_google_a_month(COUNTED, MEASURED, cost.Load(), cost.Assumed(poll_interval=3_600)))

    assert units(lines, prices.GCS_A) == 720 * 9
    assert units(lines, prices.SECRETS) == 720
    assert units(lines, prices.FUNCTION_CPU) == pytest.approx(720 * (220 / 6 + 1.05))


def test_every_page_is_a_message_and_an_invocation() -> None:
    lines = {line.price: line.units for line in cost.on_aws(COUNTED, cost.Load(), cost.Assumed(fetch_gb=0.5))}

    assert lines[prices.SQS] == 3 * 201_000
    assert lines[prices.LAMBDA_REQUESTS] == 201_000
    assert lines[prices.LAMBDA_TIME] == pytest.approx(200_000 * 0.5 + 1_000 * 10 * 0.5)


def test_what_is_assumed_is_told_as_such() -> None:
    assumed = {line.price for line in binding(cost.Assumed()) if line.known == cost.ASSUMED}

    assert assumed == {prices.GCS_STORAGE, prices.LOGGING}
