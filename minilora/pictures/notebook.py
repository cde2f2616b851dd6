"""Pictures in a notebook: with words for those who do not see them, and with dials where there is a kernel.

    figure, axes = sheet(...)                # lessons.py
    ...
    show(figure, "what there is to see")

    def picture(rank=2):                     # a dial begins at the default
        ...
        return show(figure, f"...")

    dials(picture, rank=range(1, 9))         # a slider where ipywidgets is, and the first picture everywhere

Players of animations are in player.py.
"""

import base64
import html
import inspect
from dataclasses import dataclass

from minilora.pictures.style import LIGHT, house, png


@dataclass(frozen=True)
class Still:
    """The bytes of a PNG, and what it shows in words."""

    data: bytes
    alt: str

    def _repr_mimebundle_(self, include=None, exclude=None):
        # JupyterLab passes over the words that come with a PNG, and shows the HTML; a page made with nbconvert shows the PNG and its words.
        data = {"text/html": self.tag(), "image/png": base64.b64encode(self.data).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}

    def tag(self):
        """The picture as an element of HTML."""
        return f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{base64.b64encode(self.data).decode()}">'


@house(LIGHT)
def show(figure, alt):
    """The figure as a picture that a cell may end with. `alt` says in words what there is to see."""
    return Still(png(figure), alt)


@dataclass(frozen=True)
class Dials:
    """A picture and the dials that change it. Where no kernel runs, the picture as it was at first."""

    first: Still
    box: object  # an ipywidgets box

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = self.first._repr_mimebundle_()
        return {**self.box._repr_mimebundle_(), **data}, metadata


def dials(picture, **options):
    """A dial for each named argument of `picture`, over its options; `picture` answers with what `show` gives.

    Each dial begins at the argument's default. Without ipywidgets a line says so, and the first picture is shown alone. ValueError for an
    argument that has no default, or one that is not among its options.
    """
    start = {}
    for name, values in options.items():
        parameter = inspect.signature(picture).parameters.get(name)
        if parameter is None or parameter.default not in values:
            raise ValueError(f"{picture.__name__} needs an argument {name} whose default is one of {', '.join(map(str, values))}")
        start[name] = parameter.default
    first = picture(**start)
    try:
        import ipywidgets
    except ModuleNotFoundError:
        call = ", ".join(f"{name}={value!r}" for name, value in start.items())
        print(f"A dial needs ipywidgets (pip install ipywidgets). Without it, call {picture.__name__}({call}) with other values.")
        return first
    screen = ipywidgets.HTML(first.tag())
    sliders = {
        name: ipywidgets.SelectionSlider(description=name, options=list(values), value=start[name], continuous_update=False)
        for name, values in options.items()
    }

    def follow(_):
        screen.value = picture(**{name: slider.value for name, slider in sliders.items()}).tag()

    for slider in sliders.values():
        slider.observe(follow, "value")
    return Dials(first, ipywidgets.VBox([*sliders.values(), screen]))
