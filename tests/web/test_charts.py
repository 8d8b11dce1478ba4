from __future__ import annotations

from typing import Any

from costlens.web import charts
from tests.web.roi_fixture import day_spends, roi_report


def chart_of(days: int, *, compared: bool = True) -> dict[str, Any]:
    return charts.spend_chart(roi_report(days=day_spends(days)), compared=compared)


def test_a_bar_a_day_with_a_series_per_outcome() -> None:
    chart = chart_of(28)
    assert chart["labels"][:2] == ["27 Oct", "28 Oct"]
    assert [series["name"] for series in chart["series"]] == ["merged", "open", "abandoned", "not_linked", "previous"]
    assert all(len(series["values"]) == 28 for series in chart["series"])
    assert round(sum(chart["series"][0]["values"]), 2) == 2779.33


def test_without_comparison_there_is_no_previous_series() -> None:
    assert [series["name"] for series in chart_of(28, compared=False)["series"]][-1] == "not_linked"


def test_labels_keep_their_distance() -> None:
    assert [tick for tick in chart_of(28)["ticks"] if tick] == ["27 Oct", "3 Nov", "10 Nov", "17 Nov", "today"]
    assert chart_of(7)["ticks"] == ["17 Nov", "18 Nov", "19 Nov", "20 Nov", "21 Nov", "22 Nov", "today"]
    for days in (1, 7, 28, 91, 365, 366):
        chart = chart_of(days)
        assert len(chart["ticks"]) == len(chart["labels"])
        assert sum(map(bool, chart["ticks"])) <= 9


def test_a_long_window_has_a_bar_a_week_and_loses_nothing() -> None:
    report = roi_report(days=day_spends(365))
    bars = charts.bars(report)
    assert len(bars) == 53  # the first is the one day that is left over
    assert bars[0].label == "24 Nov 2025"
    assert bars[-1].label == "17 – 23 Nov 2026"
    assert sum(bar.total for bar in bars) == report.total.spend.code
    ticks = [tick for tick in chart_of(365)["ticks"] if tick]
    assert ticks[:3] == ["24 Nov", "6 Jan", "24 Feb"], "each with its month"
    assert ticks[-1] == "this week"


def test_sparkline_spans_its_box() -> None:
    assert charts.sparkline([0, 50, 100]) == "1.0,17.0 42.0,9.0 83.0,1.0"
    assert charts.sparkline([0, 0]) == "1.0,17.0 83.0,17.0"
    assert charts.sparkline([5]) == "1.0,1.0"
    assert charts.sparkline([]) == ""
    assert charts.sparkline([1] * 365).count(",") == 53, "a point a week"
