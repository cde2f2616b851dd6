"""The player in a real browser: buttons and keys go to the right frame, playing stops at the last one."""

import dataclasses

import pytest

from minilora.pictures import draw_film, film
from minilora.pictures.player import player

FRAMES = [dataclasses.replace(frame, seconds=0.05) for frame in film.film()[:4]]


@pytest.fixture
def page(open_page):
    return open_page(player(dataclasses.replace(draw_film.animation(), frames=FRAMES)).html)


def assert_at(page, n):
    """Frame n is shown: the picture loaded, its words in the alt text and below, the slider and the count."""
    assert page.locator("img").get_attribute("alt") == page.locator("figcaption").inner_text() == FRAMES[n].told
    assert page.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert page.get_by_role("slider", name="frame").input_value() == str(n)
    assert page.locator("output").inner_text() == f"{n + 1} / 4"


def test_buttons(page):
    assert_at(page, 0)
    for name, n in (("one frame on", 1), ("last frame", 3), ("one frame on", 3), ("one frame back", 2), ("first frame", 0)):
        page.get_by_role("button", name=name, exact=True).click()
        assert_at(page, n)


def test_keys(page):
    page.get_by_role("slider", name="frame").focus()
    for key, n in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 3), ("Home", 0)):
        page.keyboard.press(key)
        assert_at(page, n)


def test_it_plays_to_the_end_and_once_more_from_the_start(page):
    for _ in range(2):
        page.get_by_role("button", name="play", exact=True).click()
        assert page.get_by_role("button", name="pause").count() == 1
        page.get_by_role("button", name="play", exact=True).wait_for()
        assert_at(page, 3)


def test_the_slider_stops_it(page):
    page.get_by_role("button", name="play", exact=True).click()
    page.get_by_role("slider", name="frame").fill("1")
    page.wait_for_timeout(300)
    assert_at(page, 1)


def test_two_players_on_a_page_do_not_meddle(open_page):
    html = player(dataclasses.replace(draw_film.animation(), frames=FRAMES)).html
    page = open_page(html + html)
    page.get_by_role("button", name="one frame on").first.click()
    assert page.locator("output").all_inner_texts() == ["2 / 4", "1 / 4"]
