"""outlines.py WORK ZOOM: prepares what all tiles of one zoom level draw.

Reads the measured countries and their colours, leaves out the points that this scale cannot show,
projects to Web Mercator, and writes WORK/outlines/ZOOM.json: for each country its colour number and
rings, and the lines of coasts and of borders. Each line and ring is [left, top, right, bottom, x, y,
x, y, ...], its bounds and then its points, in pixels of the whole zoom level, which is 256 * 2^ZOOM
pixels wide.
"""

import geometry
import topology as topo
from projection import cut_lines, cut_rings, subdivide, web_mercator
from stage import arguments, give_back, read_json, read_measured, write_json

TILE_PIXELS = 256
# A point is left out if that changes less than this share of a pixel's area at 60 degrees of latitude,
# where Mercator draws an area four times as large as on the equator.
PIXEL_SHARE = 0.1
EQUATOR_KM = 40075.0


def threshold_km2(zoom):
    """The weight from which a point is drawn."""
    pixel_km = EQUATOR_KM / (TILE_PIXELS * 2**zoom)
    return PIXEL_SHARE * pixel_km**2 / 4


def simplified_arcs(measured, threshold):
    """{number: (points, whether it is a border)} of all countries; a shared arc is there once."""
    arcs = {}
    for country in measured:
        shared = {n if n >= 0 else ~n for b in country["borders"].values() for n in b["arcs"]}
        for key, weighted in country["weighted"].items():
            number = int(key)
            if number not in arcs:
                arcs[number] = (geometry.simplify(weighted, threshold), number in shared)
    return arcs


def _projected(points, width):
    flat = []
    for longitude, latitude in subdivide(points, 5.0):
        x, y = web_mercator(longitude, latitude)
        flat += (round(x * width, 2), round(y * width, 2))
    return [min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2]), *flat]


def prepare(measured, colours, zoom):
    """The content of one level's file."""
    width = TILE_PIXELS * 2**zoom
    arcs = simplified_arcs(measured, threshold_km2(zoom))
    points = {number: line for number, (line, _) in arcs.items()}
    countries = [
        {
            "colour": colours[country["slug"]],
            "rings": [
                _projected(piece, width)
                for polygon in country["polygons"]
                for ring in polygon
                for piece in cut_rings(topo.assemble_ring(ring, points), 0.0)
            ],
        }
        for country in measured
    ]
    lines = {False: [], True: []}
    for line, is_border in arcs.values():
        lines[is_border] += [_projected(piece, width) for piece in cut_lines(line, 0.0)]
    return {"countries": countries, "coasts": lines[False], "borders": lines[True]}


def prepare_level(work, zoom):
    level = prepare(read_measured(work), read_json(f"{work}/colours.json"), int(zoom))
    write_json(f"{work}/outlines/{zoom}.json", level)
    return {"rings": sum(len(country["rings"]) for country in level["countries"])}


if __name__ == "__main__":
    give_back(prepare_level(*arguments(__doc__, 2)))
