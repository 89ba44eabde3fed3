"""Medians, ratios and figures."""

import pytest

from benchmarks.samples import Figure, Row, ratios
from tests.unit.benchmarks.samples import row, sample


def test_a_row_has_the_median_of_each_value_by_itself() -> None:
    found = Row.of("what", "who", "link", [sample(1, cpu=9), sample(5, cpu=3), sample(9, cpu=1)])
    assert (found.median.rate, found.median.sender_cpu, found.median.total_cpu) == (5, 3, 9)


def test_ratios_are_those_to_the_first_row_of_the_same_content_and_network() -> None:
    rows = [
        row("a", 4),
        row("b", 8),
        row("a", 10, what="else"),
        row("c", 2),
        row("b", 5, what="else"),
    ]
    assert ratios(rows) == [1, 2, 1, 0.5, 0.5]


def test_a_put_and_a_get_cost_what_both_cost() -> None:
    both = sample(300, cpu=2).then(sample(100, cpu=3))
    assert both.rate == pytest.approx(75)
    assert (both.sender_cpu, both.broker_cpu, both.service_cpu) == (2, 5, 3)


@pytest.mark.parametrize(
    ("value", "least", "holds"),
    [(2, True, True), (1.9, True, False), (2, False, True), (2.1, False, False)],
)
def test_a_figure_holds_up_to_its_bound(value: float, least: bool, holds: bool) -> None:
    assert Figure("what", value, 2, least).holds is holds
