"""A small picture of each lesson for the map of the course: the last picture in the lesson whose cell is tagged so, or else its first."""

import base64
import io

TAG, WIDTH, HEIGHT = "thumbnail", 320, 200  # pixels: twice what a page shows, for fine screens


def thumbnail(notebook):
    """The bytes of a PNG, WIDTH x HEIGHT, the picture in the middle of a white ground. ValueError for a lesson without a picture."""
    pictures = [
        (TAG in cell.metadata.get("tags", ()), output.data["image/png"])
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    if not pictures:
        raise ValueError("there is no picture in this lesson: show one")
    tagged = [data for chosen, data in pictures if chosen]
    return shrunk(base64.b64decode(tagged[-1] if tagged else pictures[0][1]))


def shrunk(data):
    """A PNG made to fit."""
    from PIL import Image

    picture = Image.open(io.BytesIO(data)).convert("RGB")
    picture.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    ground = Image.new("RGB", (WIDTH, HEIGHT), "white")
    ground.paste(picture, ((WIDTH - picture.width) // 2, (HEIGHT - picture.height) // 2))
    file = io.BytesIO()
    ground.save(file, "PNG", optimize=True)
    return file.getvalue()
