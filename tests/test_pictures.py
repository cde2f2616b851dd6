"""The pictures: what each frame says is true, nothing is cut off, files are small, and pages ask the network for nothing."""

import argparse
import dataclasses
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from minilora import counting, gallery
from minilora.analysis.spectrum import approximate
from minilora.commands import figures
from minilora.methods import LoRA
from minilora.pictures import descent, draw_film, explorable, film, learning, measure, motion, spectrum, strength, style
from minilora.pictures.player import player
from minilora.pictures.tables import read

FRAMES = film.film()
ANIMATIONS = {module.__name__.rsplit(".", 1)[-1]: module.animation() for module in (draw_film, descent, spectrum, learning, strength)}
FIGURES = Path(__file__).parents[1] / "figures"
each_palette = pytest.mark.parametrize("palette", style.PALETTES.values(), ids=style.PALETTES)


def scene(number):
    return [frame for frame in FRAMES if frame.scene == number]


def counts(frame):
    """The parts of the tally of what is stored."""
    return [count for count, _ in frame.tally["A and B"]]


# ---- the film


def test_the_film_has_51_frames_in_five_scenes_and_lasts_20_to_25_seconds():
    assert [len(scene(number)) for number in range(1, 6)] == [4, 8, 23, 10, 6]
    assert 20 <= sum(frame.seconds for frame in FRAMES) <= 25
    assert [frame.scene for frame in film.storyboard()] == [1, 2, 3, 4, 5]


def test_every_sum_can_be_done_in_the_head():
    assert film.A.shape == (5, 2) and film.B.shape == (2, 8)
    assert np.abs(film.A).max() <= 3 and np.abs(film.B).max() <= 3 and np.abs(film.A @ film.B).max() <= 9
    assert np.linalg.matrix_rank(film.A @ film.B) == 2 and np.linalg.matrix_rank(film.TARGET) == 5


def test_cells_that_are_written_hold_the_product():
    for frame in scene(1) + scene(2) + scene(3):
        grid = frame.grids["product"]
        assert np.array_equal(grid.values[grid.shown], (film.A @ film.B)[grid.shown])


def test_the_walk_writes_every_cell_once_in_reading_order_and_counts_them():
    written = [int(frame.grids["product"].shown.sum()) for frame in scene(2) + scene(3)]
    assert written == [0] * 7 + [1] + [*range(2, 9), *range(10, 41, 2)]
    for frame, count in zip(scene(2) + scene(3), written, strict=True):
        assert frame.grids["product"].shown.ravel()[:count].all()
        assert frame.counter == f"cells written {count} / 40  ·  numbers stored 26"


def test_every_sum_on_the_screen_is_right_and_belongs_to_the_framed_cells():
    for frame in scene(3) + scene(4)[-1:] + scene(2)[-1:]:
        cells = frame.grids["product"].cells
        assert len(frame.sums) == len(cells)
        for (terms, result), (i, j) in zip(frame.sums, cells, strict=True):
            assert terms == tuple(zip(film.A[i], film.B[:, j], strict=True))
            assert result == sum(a * b for a, b in terms) == (film.A @ film.B)[i, j]


def test_the_framed_row_and_column_cross_at_the_framed_cell():
    for frame in scene(3):
        rows, columns = frame.grids["A"].rows, frame.grids["B"].columns
        assert frame.grids["product"].cells == tuple((i, j) for i in rows for j in columns)


def test_the_layers_are_outer_products_and_add_up_to_the_product():
    layers = [frame.grids["layer"].values for frame in scene(4) if "layer" in frame.grids and not frame.slide]
    assert [np.linalg.matrix_rank(layer) for layer in layers] == [1, 1]
    for n, layer in enumerate(layers):
        assert np.array_equal(layer, np.outer(film.A[:, n], film.B[n]))
    after_one, after_two = (scene(4)[n].grids["product"].values for n in (4, 8))
    assert np.array_equal(after_one, layers[0]) and np.array_equal(after_two, film.A @ film.B)
    assert scene(4)[-1].grids["product"].ticks and np.array_equal(scene(4)[-1].grids["product"].values, film.A @ film.B)


def test_the_counters_equal_the_arithmetic():
    assert (film.FULL, film.PAIR) == (40, 26) == (counting.full_params(5, 8), counting.lora_params(5, 8, 2))
    assert counts(scene(1)[-1]) == [10, 16] and scene(1)[-1].counter == "10 + 16 = 26 < 40"
    assert [sum(counts(scene(4)[n])) for n in (1, 5)] == [13, 26] and scene(4)[-1].counter == "26 = 2 × 13 = r (d + k)"
    for rank, frame in enumerate(scene(5)[1:], 1):
        assert sum(counts(frame)) == counting.lora_params(5, 8, rank) == 13 * rank
        assert rank == 5 or frame.counter == f"{rank} × 13 = {13 * rank} {'<' if rank <= 3 else '>'} 40"
    assert f"{counting.break_even_rank(5, 8):.2f}" == "3.08" and scene(5)[-1].counter.endswith("3.08")


def test_the_best_pair_of_each_rank_misses_what_the_picture_says():
    sigma = np.linalg.svd(film.TARGET, compute_uv=False)  # (5,)
    for rank, frame in enumerate(scene(5)[1:], 1):
        best = frame.grids["best"].values
        missed = np.sqrt(np.sum(sigma[rank:] ** 2) / np.sum(sigma**2))  # no product of this rank misses less (Eckart and Young 1936)
        assert np.linalg.matrix_rank(best) == rank
        assert np.linalg.norm(film.TARGET - best) / np.linalg.norm(film.TARGET) == pytest.approx(missed, abs=1e-12)
        assert frame.errors[-1] == pytest.approx(missed, abs=1e-12) and len(frame.errors) == rank
        assert rank == 5 or f"misses {missed:.0%} of it, for {13 * rank} numbers" in frame.caption
    assert scene(5)[-1].errors[-1] == pytest.approx(0, abs=1e-12)


# ---- the other animations


def test_descent_finds_the_directions_one_by_one_and_ends_at_the_truncated_svd():
    last = ANIMATIONS["descent"].frames[-1]
    arrived = [int(np.argmax(last.history[:, n] > 0.95 * descent.SIZES[n])) for n in range(3)]
    assert 0 < arrived[0] < arrived[1] < arrived[2]
    assert np.allclose(np.linalg.svd(descent.target(), compute_uv=False)[:4], descent.SIZES)
    assert np.allclose(last.product, approximate(descent.target(), 3), atol=0.05)  # half of what a cell's last digit can show


def test_the_spectrum_is_measured_at_every_look_and_its_share_is_computed_from_it():
    frames = ANIMATIONS["spectrum"].frames
    assert len(frames[0].lora) == len(frames[0].full) == 0
    for frame in frames[1:]:
        assert len(frame.lora) == 8 and len(frame.full) == 96 and np.all(np.diff(frame.full) <= 0)
        assert f"{sum(frame.full[:8] ** 2) / sum(frame.full**2):.0%}" in frame.caption


def test_the_strengths_begin_at_the_base_and_end_at_the_trained_adapter():
    """The two tables are of the same run."""
    lora = [row for row in read("training.json")["rows"] if row["method"] == "lora"]
    rows = read("strength.json")["rows"]
    for row, end in ((rows[0], lora[0]), (rows[-1], lora[-1])):
        assert (row["pirate"], row["text"], row["obeyed"]) == (end["held_out"], end["text"], end["obeyed"])
    assert [row["strength"] for row in rows] == [n / 20 for n in range(21)]


def test_no_measured_loss_is_below_the_best_possible():
    best = read("training.json")["entropies"]
    assert all(row["held_out"] > best["pirate"] for row in read("training.json")["rows"])
    assert all(row[name] > best[name] for row in read("strength.json")["rows"] for name in best)


def test_a_watched_method_keeps_copies_at_the_steps_asked_for():
    method, kept = measure.watched(LoRA(rank=3), every=2)
    array = np.zeros(4)
    for step in (1, 2, 3, 4):
        array += 1
        method.after_step({"a": array}, {}, step, 4)
    assert method.rank == 3 and {step: arrays["a"].tolist() for step, arrays in kept.items()} == {2: [2.0] * 4, 4: [4.0] * 4}


# ---- how they are drawn


@each_palette
def test_inks_can_be_read_on_their_ground(palette):
    assert style.contrast(palette.ink, palette.ground) >= 7
    assert style.contrast(palette.quiet, palette.ground) >= 4.5
    assert min(style.contrast(hue, palette.ground) for hue in (palette.row, palette.column)) >= 3  # lines and large text


@each_palette
def test_zero_is_the_ground_and_numbers_can_be_read_in_their_cells(palette):
    ground, _ = style.cell_colours(0, 9, palette)
    assert np.allclose(ground[:3], style.to_rgb(palette.ground), rtol=0, atol=1e-12)
    for value in range(-9, 10):
        colour, ink = style.cell_colours(value, 9, palette)
        assert style.contrast(colour, ink) >= 4.5


@each_palette
@pytest.mark.parametrize("name", ANIMATIONS)
def test_no_text_leaves_the_sheet(name, palette):
    """Every text of some frames, in pixels."""
    animation = ANIMATIONS[name]
    longest = max(animation.frames, key=lambda frame: len(frame.told))
    with style.house(palette):
        for frame in {id(frame): frame for frame in (animation.frames[0], longest, animation.frames[-1])}.values():
            figure = animation.figure(frame, palette)
            style.pixels(figure)
            for text in figure.findobj(Text):
                if text.get_text() and text.get_visible():
                    box = text.get_window_extent()
                    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text.get_text()


def short(frames):
    return dataclasses.replace(ANIMATIONS["draw_film"], frames=FRAMES[:frames])


def test_a_gif_plays_once_and_each_frame_stays_as_long_as_it_should():
    gif = Image.open(io.BytesIO(motion.gif(short(3))))
    assert "loop" not in gif.info and gif.n_frames == 3
    for n in range(3):
        gif.seek(n)
        assert gif.info["duration"] == 1000 * FRAMES[n].seconds


def test_few_colours_keep_the_flat_ones_as_they_are():
    image = short(2).images(style.LIGHT)[1].convert("RGB")
    colours = {colour for _, colour in image.getcolors()}
    assert {tuple(round(255 * c) for c in style.to_rgb(ink)) for ink in (style.LIGHT.ground, style.LIGHT.row)} <= colours


def test_a_drawing_is_the_same_each_time():
    assert gallery.last_frame(ANIMATIONS["spectrum"]) == gallery.last_frame(ANIMATIONS["spectrum"])


# ---- pages and files


def test_a_page_asks_the_network_for_nothing():
    for page in (explorable.page(), player(short(2)).html):
        assert "http" not in page and "//" not in re.sub(r"(?m)//.*$", "", re.sub(r"data:image/png;base64,[\w+/=]+", "", page))
        assert set(re.findall(r'(?:src|href)="([^"]{0,5})', page)) <= {"data:"}


def test_the_player_holds_every_frame_with_its_words():
    page = player(short(3)).html
    frames = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    assert [frame["told"] for frame in frames] == [frame.told for frame in FRAMES[:3]]
    assert all(frame["source"].startswith("data:image/png;base64,") for frame in frames)
    assert page.count('data-lm-suppress-shortcuts="true"') == 6  # five buttons and the slider keep their keys in JupyterLab
    assert not re.findall(r"__[A-Z]+__", page + explorable.page())


def test_the_committed_figures_are_those_of_the_gallery_and_small():
    for name in gallery.pictures():
        assert (FIGURES / name).stat().st_size < 400_000, name
    for name in ("README.md", "explorable.html"):  # what does not depend on the version of matplotlib is what is drawn today
        assert (FIGURES / name).read_bytes() == gallery.pictures()[name].draw(), f"{name} is old: run minilora figures"


def test_every_figure_has_words_in_place_of_the_picture():
    page = (FIGURES / "README.md").read_text(encoding="utf-8")
    words = dict(re.findall(r'<img src="(.*?)" alt="(.*?)"', page))
    words |= {name: alt for alt, name in re.findall(r"!\[(.*?)\]\((.*?)\)", page)}
    compared = {"compare-quality.png", "compare-forgetting.png"}
    assert words.keys() == {"film.gif", "film-storyboard.png", "descent.gif", "spectrum.gif", "learning.gif", "strength.gif"} | compared
    assert all(html.unescape(alt) == gallery.pictures()[name].alt and len(alt) > 100 for name, alt in words.items())


def run(*arguments):
    parser = argparse.ArgumentParser()
    figures.add_arguments(parser)
    return figures.run(parser.parse_args(arguments))


def test_the_command_draws_one_figure_into_a_folder(tmp_path, capsys):
    run("--folder", str(tmp_path), "--only", "explorable.html")
    assert [path.name for path in tmp_path.iterdir()] == ["explorable.html"]
    assert capsys.readouterr().out.startswith("[1/1] ")


def test_a_figure_that_there_is_not_is_named_with_the_closest(tmp_path):
    with pytest.raises(ValueError, match=r"there is no figure 'flim.gif'; the closest is 'film.gif'. There are film.gif, film-dark.gif"):
        run("--folder", str(tmp_path), "--only", "flim.gif")
