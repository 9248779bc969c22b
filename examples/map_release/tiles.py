"""tiles.py WORK RELEASE ZOOM X Y: draws one map tile, RELEASE/tiles/ZOOM/X/Y.png.

The usual scheme of web maps: Web Mercator, 256 pixels, tile 0/0/0 is the world, X from the west, Y from the
north. Needs WORK/outlines/ZOOM.json.
"""

import style
from outlines import TILE_PIXELS
from projection import web_mercator
from raster import Canvas
from stage import arguments, give_back, read_json, write_whole

# Colour numbers on the canvas.
OCEAN, GRATICULE, COAST, BORDER, LAND = range(5)  # land: LAND + colours.py's number + 1
COLOURS = (
    style.OCEAN,
    style.GRATICULE,
    style.COAST,
    style.BORDER,
    style.ICE,
    *style.LAND,
)
GRATICULE_DEGREES = 15
GRATICULE_SAMPLES = 1  # thickness


def draw(level, zoom, x, y):
    """The tile as a Canvas, from the content of a level's file."""
    canvas = Canvas(TILE_PIXELS)
    left, top = x * TILE_PIXELS, y * TILE_PIXELS
    width = TILE_PIXELS * 2**zoom

    def on_tile(shape):
        return (
            shape[2] >= left - 1
            and shape[0] <= left + TILE_PIXELS + 1
            and shape[3] >= top - 1
            and shape[1] <= top + TILE_PIXELS + 1
        )

    def moved(shape):
        return [value - (top if k % 2 else left) for k, value in enumerate(shape[4:])]

    for degrees in range(-180, 181, GRATICULE_DEGREES):
        along = web_mercator(degrees, 0)[0] * width - left
        canvas.stroke([along, 0, along, TILE_PIXELS], GRATICULE, GRATICULE_SAMPLES)
        if abs(degrees) < 90:
            down = web_mercator(0, degrees)[1] * width - top
            canvas.stroke([0, down, TILE_PIXELS, down], GRATICULE, GRATICULE_SAMPLES)
    for country in level["countries"]:
        rings = [moved(ring) for ring in country["rings"] if on_tile(ring)]
        if rings:
            canvas.fill(rings, LAND + country["colour"] + 1)
    samples = 2 if zoom < 2 else 3
    for line in filter(on_tile, level["borders"]):
        canvas.stroke(moved(line), BORDER, samples)
    for line in filter(on_tile, level["coasts"]):
        canvas.stroke(moved(line), COAST, samples)
    return canvas


def draw_tile(work, release, zoom, x, y):
    zoom, x, y = int(zoom), int(x), int(y)
    canvas = draw(read_json(f"{work}/outlines/{zoom}.json"), zoom, x, y)
    data = canvas.png(COLOURS, style.ATTRIBUTION)
    write_whole(f"{release}/tiles/{zoom}/{x}/{y}.png", data)
    return {"bytes": len(data)}


if __name__ == "__main__":
    give_back(draw_tile(*arguments(__doc__, 5)))
