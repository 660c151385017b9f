from __future__ import annotations

import pytest

from benchmarks import cost, prices

COUNTED = cost.Counted(volume=cost.Operations(a=217, b=3, free=207), poll=cost.Operations(a=9, b=1))


def test_a_price_is_for_so_many_units() -> None:
    assert prices.GCS_A.of(215_000) == pytest.approx(1.075)
    assert prices.FUNCTION_CPU.of(1_000) == pytest.approx(0.024)


def test_a_price_is_shown_in_full() -> None:
    assert prices.FUNCTION_MEMORY.tag == "0.0000025"
    assert prices.TASKS.tag == "0.4 per 1,000,000"


def test_binding_is_the_sum_over_the_services() -> None:
    load = cost.Load(volumes=10, pages=100, page_bytes=2**30)
    lines = list(cost.on_google(COUNTED, load, cost.Assumed(fetch=cost.SMALL)))
    services = {line.price.service for line in lines}

    assert cost.total(lines, "Cloud Storage") == pytest.approx(2170 * 5e-6 + 30 * 4e-7 + 1000 / 30 * 0.02)
    assert cost.total(lines, "Cloud Tasks") == pytest.approx(2 * 1010 * 0.4e-6)
    cpu, memory = 1000 / 6 + 10 * 10 / 6, 1000 * 0.25 + 10 * 10 * 0.25
    functions = 1010 * 0.4e-6 + cpu * 0.000024 + memory * 0.0000025
    assert cost.total(lines, "Cloud Run functions") == pytest.approx(functions)
    assert cost.total(lines) == pytest.approx(sum(cost.total(lines, service) for service in services))


def test_downloads_that_share_an_instance_share_its_cost() -> None:
    def seconds(assumed: cost.Assumed) -> float:
        lines = cost.on_google(COUNTED, cost.Load(), assumed)
        return next(line.units for line in lines if line.price is prices.FUNCTION_CPU)

    assert seconds(cost.Assumed(fetch=cost.SMALL)) == pytest.approx(200_000 / 6 + 10_000 / 6)
    assert seconds(cost.Assumed(fetch=cost.SHARED)) == pytest.approx(200_000 / 16 + 10_000 / 6)


@pytest.mark.parametrize(("volumes", "operations"), [(1, 9), (1_000, 9), (1_001, 13), (10_000, 45)])
def test_a_poll_lists_each_growing_prefix_once_for_1000_volumes(volumes: int, operations: int) -> None:
    assert cost.poll_of(COUNTED.poll, volumes).a == operations


def test_a_month_has_a_poll_every_interval() -> None:
    lines = cost.on_google_a_month(COUNTED, cost.Load(), cost.Assumed(poll_interval=3_600))

    assert next(line for line in lines if line.price is prices.GCS_A).units == 720 * 9


def test_every_page_is_a_message_and_an_invocation() -> None:
    lines = {line.price: line.units for line in cost.on_aws(COUNTED, cost.Load(), cost.Assumed(fetch_gb=0.5))}

    assert lines[prices.SQS] == 3 * 201_000
    assert lines[prices.LAMBDA_REQUESTS] == 201_000
    assert lines[prices.LAMBDA_TIME] == pytest.approx(200_000 * 0.5 + 1_000 * 10 * 0.5)


def test_only_operations_of_the_store_are_counted() -> None:
    counted = {line.price for line in cost.on_google(COUNTED, cost.Load(), cost.Assumed()) if line.counted}

    assert counted == {prices.GCS_A, prices.GCS_B}
