"""The explorable page in a real browser: what the mouse and the keyboard change, compared with NumPy and counting."""

import numpy as np
import pytest

from minilora import counting
from minilora.pictures import explorable, film
from minilora.pictures.tables import read


@pytest.fixture
def page(open_page):
    return open_page(explorable.page())


def matrix(page, name):
    """The numbers that stand in a matrix on the screen, as an array of its shape."""
    read_cells = "cells => cells.map(cell => [+cell.dataset.row, +cell.dataset.column, +cell.textContent.replace('−', '-')])"
    cells = np.array(page.locator(f"#{name} .cell").evaluate_all(read_cells))  # (cells, 3)
    assert len(cells) == np.prod(cells[-1, :2] + 1)
    return cells[:, 2].reshape(cells[-1, :2] + 1)


def entry(page, name, row, column):
    return page.locator(f"#{name} .cell[data-row='{row}'][data-column='{column}']")


def drag(page, cell, up):
    """Drag a cell `up` pixels."""
    box = cell.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - up, steps=5)
    page.mouse.up()


def assert_all_follows(page, d, k, r):
    """Everything on the page that depends on the numbers and the shape agrees with NumPy and counting."""
    A, B = matrix(page, "A"), matrix(page, "B")
    assert A.shape == (d, r) and B.shape == (r, k)
    assert np.array_equal(matrix(page, "product"), A @ B)
    layers = page.locator("#layers table").evaluate_all(
        "tables => tables.map(table => [...table.querySelectorAll('td')].map(cell => +cell.textContent.replace('−', '-')))"
    )
    assert np.array_equal(np.reshape(layers, (r, d, k)), [np.outer(A[:, n], B[n]) for n in range(r)])
    counts = page.locator("#counts").inner_text()
    full, pair = counting.full_params(d, k), counting.lora_params(d, k, r)
    saved = f"{'saved' if pair <= full else 'more than written out'}\t{abs(full - pair)} ("
    for words in (f"{d} × {k} = {full}", f"{r} × ({d} + {k}) = {pair}", saved, f"\t{counting.break_even_rank(d, k):.2f}"):
        assert words in counts
    rank = np.linalg.matrix_rank(A @ B)
    assert f"rank of A B\t{rank}{f', below r = {r}' if rank < r else ''}" in counts
    assert f"crosses d k = {full} at r = {counting.break_even_rank(d, k):.2f}; at r = {r} it is {pair}" in page.locator(
        "#curve"
    ).get_attribute("aria-label")
    held = page.locator("#held").inner_text()
    for method in ("lora", "full"):
        squares = np.square([row for row in read("training.json")["rows"] if row["method"] == method][-1]["singular_values"])
        assert f"{squares[:r].sum() / squares.sum():.0%}" in held
    assert f"{counting.lora_params(256, 96, r):,} numbers in place of 24,576" in held


def test_it_starts_as_the_film(page):
    assert np.array_equal(matrix(page, "A"), film.A) and np.array_equal(matrix(page, "B"), film.B)
    assert_all_follows(page, 5, 8, 2)
    assert page.locator("#sum").inner_text() == "row 1, column 1: 1 × 2 + 3 × 1 = 5"


def test_dragging_an_entry_up_and_down_changes_it_and_what_depends_on_it(page):
    before = matrix(page, "product")
    drag(page, entry(page, "A", 1, 0), -28)  # 14 pixels a step: 2 becomes 0
    assert matrix(page, "A")[1, 0] == 0
    after = matrix(page, "product")
    assert np.array_equal(after[[0, 2, 3, 4]], before[[0, 2, 3, 4]]) and not np.array_equal(after[1], before[1])
    assert_all_follows(page, 5, 8, 2)
    drag(page, entry(page, "B", 1, 7), 300)  # it was 3, the largest
    drag(page, entry(page, "B", 1, 1), 14)  # 0 becomes 1
    assert matrix(page, "B")[1, 7] == 3 and matrix(page, "B")[1, 1] == 1
    assert_all_follows(page, 5, 8, 2)


def test_arrow_keys_choose_an_entry_and_change_it(page):
    entry(page, "A", 0, 0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert matrix(page, "A")[1, 0] == 0  # 2, turned down twice
    assert page.evaluate("document.activeElement.getAttribute('aria-valuenow')") == "0"
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    assert matrix(page, "A")[1, 0] == 3  # and no more
    assert_all_follows(page, 5, 8, 2)


def test_a_whole_tour_by_tab_and_arrow_keys(page):
    """Rank, rows, columns, the button, B, A, the product: one stop of Tab for each."""
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert_all_follows(page, 5, 8, 3)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert_all_follows(page, 4, 8, 3)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert_all_follows(page, 4, 9, 3)
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.locator("#sum").inner_text().startswith("row 2, column 2: ")


def test_moving_the_rank_with_the_mouse_passes_the_break_even(page):
    box = page.locator("#r").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    assert_all_follows(page, 5, 8, 5)  # the largest rank of a 5 x 8 matrix
    assert "more than written out" in page.locator("#counts").inner_text()


def test_the_rank_shrinks_with_the_shape(page):
    for id, value in (("r", 5), ("d", 3)):
        page.locator(f"#{id}").fill(str(value))
    assert_all_follows(page, 3, 8, 3)
    assert page.locator("#r").get_attribute("max") == "3"


def test_a_product_may_have_a_rank_below_r(page):
    for column in range(2):
        for row in range(5):
            drag(page, entry(page, "A", row, column), 300)  # all entries 3: the columns of A are the same
    assert "rank of A B\t1, below r = 2" in page.locator("#counts").inner_text()
    assert_all_follows(page, 5, 8, 2)


def test_pointing_at_a_cell_of_the_product_writes_its_sum(page):
    entry(page, "product", 1, 5).hover()
    assert page.locator("#sum").inner_text() == "row 2, column 6: 2 × 1 + (−1) × (−2) = 4"


def test_start_again(page):
    drag(page, entry(page, "A", 0, 0), 28)
    page.locator("#k").fill("3")
    page.get_by_role("button", name="start again").click()
    assert np.array_equal(matrix(page, "A"), film.A)
    assert_all_follows(page, 5, 8, 2)


def test_every_control_has_a_name(page):
    assert [page.get_by_role("slider", name=name).count() for name in ("rank r", "rows d", "columns k")] == [1, 1, 1]
    assert page.get_by_role("spinbutton", name="A, row 5, column 2").count() == 1
    assert page.get_by_role("button", name="row 5, column 8: 3").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_telephone(open_page, scheme):
    page = open_page(explorable.page(), color_scheme=scheme)
    page.set_viewport_size({"width": 400, "height": 800})
    for id, value in (("d", 8), ("k", 10), ("r", 8)):
        page.locator(f"#{id}").fill(str(value))
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert_all_follows(page, 8, 10, 8)
