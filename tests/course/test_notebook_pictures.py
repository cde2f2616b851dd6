"""Pictures and dials in a notebook: words for each picture, a dial that moves its picture, and a message where there can be no dial."""

import sys

import pytest
from matplotlib.figure import Figure

from minilora.pictures import draw_film
from minilora.pictures.notebook import dials, show
from minilora.pictures.player import player


def picture(rank=2, target="q_proj"):
    return show(Figure(figsize=(rank, 1)), f"rank {rank} at <{target}>")


def test_a_picture_brings_its_words():
    data, metadata = picture()._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == "rank 2 at <q_proj>"
    assert 'alt="rank 2 at &lt;q_proj&gt;"' in data["text/html"]


def test_dials_begin_at_the_defaults_and_move_the_picture():
    shown = dials(picture, rank=(1, 2, 3), target=("q_proj", "v_proj"))
    rank, target, screen = shown.box.children
    assert (rank.value, target.value, screen.value) == (2, "q_proj", picture().tag())
    rank.value, target.value = 3, "v_proj"
    assert screen.value == picture(3, "v_proj").tag()
    data, metadata = shown._repr_mimebundle_()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= data.keys() and metadata["image/png"]["alt"] == "rank 2 at <q_proj>"


def test_without_ipywidgets_there_is_a_message_and_a_picture(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert dials(picture, rank=(1, 2)) == picture()
    assert capsys.readouterr().out.startswith("A dial needs ipywidgets (pip install ipywidgets). Without it, call picture(rank=2)")


@pytest.mark.parametrize("options", [{"rank": (1, 3)}, {"size": (1, 2)}])
def test_a_dial_needs_a_default_among_its_options(options):
    with pytest.raises(ValueError, match=f"picture needs an argument {next(iter(options))} whose default is one of"):
        dials(picture, **options)


def test_a_player_has_its_last_frame_for_those_who_only_look():
    film = draw_film.animation()
    data, metadata = player(film)._repr_mimebundle_()
    assert data["text/html"].count("data:image/png") >= len(film.frames) and metadata["image/png"]["alt"] == film.alt
