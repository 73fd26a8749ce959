from local.demo.story import chart


def test_the_curve_falls_from_the_top_left_and_names_its_steps() -> None:
    lines = chart([(2, 4.0), (4, 2.0), (6, 1.0), (8, 0.5)], rows=4)
    assert lines[0] == " 4.00 ┤█"
    assert lines[2].startswith(" 2.00 ┤██") or lines[1].startswith(" 2.00")
    assert "step 2" in lines[-1]
    assert "step 8" in lines[-1]


def test_long_histories_are_thinned_to_the_width() -> None:
    lines = chart([(step, 1.0) for step in range(1000)], columns=40)
    assert max(len(line) for line in lines[:-1]) <= 40 + 8


def test_no_losses_draw_nothing() -> None:
    assert chart([]) == []
