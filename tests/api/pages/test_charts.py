"""Charts: where their lines go."""

from api.pages.charts import Series, line_chart

SIZE_ON_A_PHONE = 24
"""Of letters in a chart, in its own units: `--size-chart-small` of tokens.css."""


def test_an_axis_begins_at_zero_and_ends_at_a_round_figure() -> None:
    chart = line_chart(["1", "2", "3"], [Series("Billed", "billed", [0, 123_400, 50_000])])
    assert [value for _, value in chart.marks] == [0, 50_000, 100_000, 150_000]
    assert chart.height - 6 - SIZE_ON_A_PHONE >= chart.bottom + 4  # Failed before: the month stood on the zero.
    assert chart.marks[0][0] == chart.bottom
    (line,) = chart.lines
    spots = [tuple(map(float, spot.split(","))) for spot in line.points.split()]
    assert [x for x, _ in spots] == [chart.left, (chart.left + chart.right) / 2, chart.right]
    assert spots[0][1] == chart.bottom
    assert spots[1][1] < spots[2][1] < chart.bottom


def test_labels_keep_apart_and_days_to_come_have_no_point() -> None:
    same = [100, 100, None]
    chart = line_chart(["1", "2", "3"], [Series("Billed", "a", same), Series("Saved", "b", same)], today=1)
    one, other = (line.label_y for line in chart.lines)
    assert other - one == 24
    assert all(len(line.points.split()) == 2 for line in chart.lines)
    assert chart.today_x == (chart.left + chart.right) / 2


def test_a_month_without_anything_has_an_axis() -> None:
    chart = line_chart(["1"], [Series("Billed", "a", [0])])
    assert [value for _, value in chart.marks] == [0, 100]


def test_labels_stand_above_the_axis_and_large_amounts_have_room() -> None:
    chart = line_chart(["1"], [Series("Billed", "a", [0]), Series("Saved", "b", [0]), Series("Held", "c", [0])])
    assert [chart.bottom - line.label_y for line in chart.lines] == [48, 24, 0]
    assert line_chart(["1"], [Series("Billed", "a", [99_999_999_99])]).left > chart.left
