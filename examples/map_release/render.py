"""render.py WORK RELEASE: draws RELEASE/world.svg, the world on one sheet.

The Equal Earth projection, in which every area has its true proportion, cut in the Bering Strait so that no
mainland is. A country shows its name and figures when the pointer rests on it.
"""

import html

import geometry
import labels
import style
import topology as topo
from outlines import simplified_arcs
from projection import cut_lines, cut_rings, equal_earth, subdivide
from stage import arguments, give_back, read_json, read_measured, write_whole

CENTRE = 11.0  # degrees east; the map's edge runs along 169 degrees west
WIDTH, HEIGHT = 2000, 1240  # of the sheet, pixels
MAP_LEFT, MAP_TOP, MAP_WIDTH = 60, 138, 1880
SCALE = MAP_WIDTH / 2 / equal_earth(180, 0)[0]
MIDDLE_Y = MAP_TOP + equal_earth(0, 90)[1] * SCALE
THRESHOLD_KM2 = 20.0  # points that change less are left out: a twentieth of a pixel
SUBTITLE = "in the Equal Earth projection: every country in its true proportion"
CAUTION = (
    "Colours tell neighbours apart and mean nothing else. "
    "Borders as in the source, which shows who governs, not who should."
)
CHART_TOP, CHART_ROWS = 1084, 7
DOT_BELOW_KM2 = 1500.0  # smaller countries also get a dot
DOT_RADIUS = 1.7
LABEL_ABOVE_KM2 = 15000.0  # countries whose name may stand inside them

OCEANS = (  # text (a line a word, "_" keeps words together), longitude, latitude, font size
    ("North Pacific Ocean", -143, 33, 19),
    ("South Pacific Ocean", -122, -32, 21),
    ("North Atlantic Ocean", -41, 31, 18),
    ("South Atlantic Ocean", -15, -28, 18),
    ("Indian Ocean", 79, -24, 21),
    ("Pacific Ocean", 157, 23, 15),
    ("Southern Ocean", 75, -59.5, 15),
    ("Arctic_Ocean", 150, 80, 12),
)
PARALLELS = (  # name, latitude (tropics and circles of the epoch 2000), the name's place below the line
    ("Arctic Circle", 66.5607, -4),
    ("Tropic of Cancer", 23.4393, -4),
    ("Equator", 0.0, -4),
    ("Tropic of Capricorn", -23.4393, 10),
    ("Antarctic Circle", -66.5607, -4),
)


def on_sheet(longitude, latitude):
    """Pixels for degrees; the longitude counts from the central meridian."""
    x, y = equal_earth(longitude, latitude)
    return MAP_LEFT + MAP_WIDTH / 2 + x * SCALE, MIDDLE_Y - y * SCALE


def projected(points):
    return [on_sheet(*point) for point in subdivide(points)]


def path(lines, closed=False):
    """SVG path data: absolute starts, then steps, in tenths of a pixel."""
    pieces = []
    for line in lines:
        tenths = [(round(10 * x), round(10 * y)) for x, y in line]
        steps = []
        for (x0, y0), (x1, y1) in zip(tenths, tenths[1:]):
            if (x0, y0) != (x1, y1):
                steps.append(f"{(x1 - x0) / 10:g},{(y1 - y0) / 10:g}")
        if steps:
            start = f"M{tenths[0][0] / 10:g},{tenths[0][1] / 10:g}l"
            pieces.append(start + " ".join(steps) + ("z" if closed else ""))
    return "".join(pieces)


def sphere():
    """The edge of the map, once around."""
    edge = [(180, latitude) for latitude in range(-90, 91)]
    edge += [(-180, latitude) for latitude in range(90, -91, -1)]
    return [on_sheet(*point) for point in edge]


def graticule(step=15):
    """Meridians (those that do not also pass for all the others end before the pole) and parallels."""
    lines = []
    for longitude in range(-180, 180, step):
        end = 90 if longitude % 90 == 0 else 75
        meridian = [(longitude, latitude) for latitude in range(-end, end + 1)]
        lines += cut_lines(meridian, CENTRE)
    for latitude in range(-75, 76, step):
        if latitude:
            lines.append([(x, latitude) for x in range(-180, 181)])
    return [projected(line) for line in lines]


def text(content, x, y, size, extra=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" {extra}>{html.escape(content)}</text>'
    )


class World:
    """What is drawn: the measured countries, their colours, and their outlines on the sheet."""

    def __init__(self, measured, colours):
        self.measured = sorted(measured, key=lambda country: -country["area_km2"])
        self.fills = {slug: style.land_colour(number) for slug, number in colours.items()}
        self.names = {country["slug"]: country["name"] for country in measured}
        arcs = simplified_arcs(measured, THRESHOLD_KM2)
        points = {number: line for number, (line, _) in arcs.items()}
        self.parts = {
            country["slug"]: [
                [
                    projected(piece)
                    for ring in polygon
                    for piece in cut_rings(topo.assemble_ring(ring, points), CENTRE)
                ]
                for polygon in country["polygons"]
            ]
            for country in measured
        }
        self.lines = {False: [], True: []}
        for line, is_border in arcs.values():
            self.lines[is_border] += [projected(piece) for piece in cut_lines(line, CENTRE)]

    def borders(self):
        """(km, name, name) of each land border once, the longest first."""
        found = [
            (border["km"], country["name"], self.names[other])
            for country in self.measured
            for other, border in country["borders"].items()
            if country["slug"] < other
        ]
        return sorted(found, reverse=True)

    def land(self):
        """A path for every country, with a tooltip; dots for the smallest."""
        shapes = []
        for country in self.measured:
            border_km = sum(border["km"] for border in country["borders"].values())
            tip = f"{country['name']}\n{country['area_km2']:,.0f} km²\ncoast {country['coast_km']:,.0f} km"
            if border_km:
                names = ", ".join(self.names[other] for other in country["borders"])
                tip += f"\nborders {border_km:,.0f} km: {names}"
            rings = [ring for part in self.parts[country["slug"]] for ring in part]
            shapes.append(
                f'<path fill="{self.fills[country["slug"]]}" d="{path(rings, closed=True)}">'
                f"<title>{html.escape(tip)}</title></path>"
            )
        return "\n".join(shapes)

    def dot_places(self):
        """(x, y, country) for every country too small to be seen."""
        for country in self.measured:
            if country["area_km2"] < DOT_BELOW_KM2:
                longitude, latitude = country["centre"]
                yield *on_sheet(geometry.turn(CENTRE, longitude), latitude), country

    def dots(self):
        return "\n".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT_RADIUS}" fill="{self.fills[country["slug"]]}">'
            f"<title>{html.escape(country['name'])}\n{country['area_km2']:,.0f} km²</title></circle>"
            for x, y, country in self.dot_places()
        )

    def labels(self, sea):
        """The names for which there is room: inside the country, or else beside its coast."""
        found, outside = [], []
        for country in self.measured:
            areas = country["parts_km2"]
            rings = self.parts[country["slug"]][areas.index(max(areas))]
            label = None
            if country["area_km2"] > LABEL_ABOVE_KM2 and rings:
                label = labels.place(country["name"], country["area_km2"], rings)
            if label:
                found.append(label)
            elif country["coast_km"] and rings:
                outside.append((country, rings[0]))
        for parts in self.parts.values():
            for part in parts:
                sea.take_area(part)
        dots = {}
        for x, y, country in self.dot_places():
            left, top, right, bottom = x - DOT_RADIUS, y - DOT_RADIUS, x + DOT_RADIUS, y + DOT_RADIUS
            sea.take_box(left, top, right, bottom)
            dots[country["slug"]] = [(right, y), (left, y), (x, bottom), (x, top)]
        for country, shore in outside:
            shore = dots.get(country["slug"], shore)
            label = labels.place_beside(country["name"], country["area_km2"], shore, sea)
            if label:
                found.append(label)
        return found


def label_text(label):
    """A label's lines as SVG text."""
    height = labels.LINE_HEIGHT * label.size
    extra, x = f'text-anchor="{label.anchor}"', label.x
    if label.capitals:
        extra += f' letter-spacing="{labels.CAPITAL_SPACING}em"'
        x += labels.CAPITAL_SPACING * label.size / 2  # spacing also follows the last letter
    first = label.y - (len(label.lines) - 1) / 2 * height + 0.35 * label.size
    return "\n".join(
        text(line, x, first + k * height, label.size, extra) for k, line in enumerate(label.lines)
    )


def ocean_names(sea):
    """The oceans' names, which take their place in the sea."""
    shapes = []
    for name, longitude, latitude, size in OCEANS:
        x, y = on_sheet(geometry.turn(CENTRE, longitude), latitude)
        lines = [line.replace("_", " ") for line in name.split()]
        for k, line in enumerate(lines):
            middle = y + (k - (len(lines) - 1) / 2) * size * 1.3
            shapes.append(text(line, x, middle + size * 0.35, size))
            half = len(line) * 0.42 * size
            sea.take_box(x - half, middle - size * 0.6, x + half, middle + size * 0.6)
    return "\n".join(shapes)


def parallels(sea):
    """The five named parallels, dotted, with their names at the left edge of the map."""
    shapes = []
    for name, latitude, below in PARALLELS:
        points = projected([(-180, latitude), (180, latitude)])
        shapes.append(f'<path class="parallel" d="{path([points])}"/>')
        x, y = points[0][0] + 12, points[0][1] + below
        shapes.append(text(name, x, y, 8.5, 'class="parallel-name"'))
        sea.take_box(x, y - 9, x + 5.2 * len(name), y + 2)
    return "\n".join(shapes)


def bars(heading, rows, left, width):
    """A small bar chart: rows of (name, value, value in words, colour), the largest first."""
    shapes = [text(heading, left, CHART_TOP, 13, 'class="heading"')]
    for k, (name, value, words, colour) in enumerate(rows):
        y = CHART_TOP + 10 + 16 * k
        shapes.append(
            f'<rect x="{left}" y="{y}" width="{max(1.0, width * value / rows[0][1]):.1f}" height="12" '
            f'rx="1.5" fill="{colour}"/>'
        )
        shapes.append(text(name, left + 5, y + 9.5, 10))
        shapes.append(text(words, left + width + 8, y + 9.5, 10, 'class="value"'))
    return "\n".join(shapes)


STYLE = f"""
text {{ font-family: Georgia, 'Liberation Serif', 'Noto Serif', 'DejaVu Serif', serif; fill: {style.INK}; }}
.graticule {{ fill: none; stroke: {style.GRATICULE}; stroke-width: .6; stroke-opacity: .7; }}
.parallel {{ fill: none; stroke: {style.COAST}; stroke-width: .7; stroke-dasharray: 1 4; stroke-opacity: .8; }}
.parallel-name {{ font-style: italic; fill: {style.COAST}; }}
.shallows {{ fill: none; stroke: #ffffff; stroke-linejoin: round; }}
.land path {{ stroke-width: .4; stroke-linejoin: round; }}
.land path:hover, .dots circle:hover {{ filter: brightness(1.1) saturate(1.5); }}
.borders {{ fill: none; stroke: {style.BORDER}; stroke-width: 1; stroke-linejoin: round; pointer-events: none; }}
.coasts {{ fill: none; stroke: {style.COAST}; stroke-width: .55; stroke-linejoin: round; pointer-events: none; }}
.dots circle {{ stroke: {style.COAST}; stroke-width: .6; }}
.names {{ pointer-events: none; }}
.oceans {{ pointer-events: none; }}
.oceans text {{ text-anchor: middle; font-style: italic; fill: {style.COAST}; letter-spacing: .16em; }}
.title {{ letter-spacing: .3em; text-anchor: middle; }}
.subtitle {{ font-style: italic; text-anchor: middle; fill: {style.FAINT_INK}; letter-spacing: .04em; }}
.heading {{ font-style: italic; }}
.value, .foot {{ fill: {style.FAINT_INK}; }}
"""


def draw(measured, colours):
    """(the sheet as SVG text, the number of countries whose name is on it)."""
    world = World(measured, colours)
    sea = labels.Sea(WIDTH, HEIGHT, sphere())
    oceans, circles = ocean_names(sea), parallels(sea)
    names = world.labels(sea)
    edge = path([sphere()], closed=True)
    land_km2 = sum(country["area_km2"] for country in measured)
    borders = world.borders()
    largest = [
        (labels.full_name(country["name"]), area, f"{area / 1e6:.1f} million km²", world.fills[country["slug"]])
        for country, area in ((country, country["area_km2"]) for country in world.measured)
        if world.fills[country["slug"]] != style.ICE
    ][:CHART_ROWS]
    longest = [
        (f"{labels.full_name(one)} – {labels.full_name(other)}", km, f"{km:,.0f} km", style.OCEAN_DEEP)
        for km, one, other in borders[:CHART_ROWS]
    ]
    charts = bars("The largest countries", largest, MAP_LEFT, 250)
    charts += bars("The longest land borders", longest, WIDTH - MAP_LEFT - 330, 270)
    facts = (
        f"{len(measured)} countries and territories · {land_km2 / 1e6:,.1f} million km² of land · "
        f"{len(borders)} land borders, {sum(km for km, _, _ in borders):,.0f} km"
    )
    newline = "\n"
    return (
        f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">
<title>The World</title>
<desc>Countries of the world in the Equal Earth projection. {style.ATTRIBUTION}.</desc>
<style>{STYLE}</style>
<defs>
<radialGradient id="sea" cx="50%" cy="46%" r="62%">
<stop offset="0" stop-color="#dcebf1"/><stop offset=".6" stop-color="{style.OCEAN}"/><stop offset="1" stop-color="{style.OCEAN_DEEP}"/>
</radialGradient>
<path id="edge" d="{edge}"/>
<path id="coast" d="{path(world.lines[False])}"/>
<clipPath id="within"><use href="#edge"/></clipPath>
</defs>
<rect width="{WIDTH}" height="{HEIGHT}" fill="{style.PAPER}"/>
<rect x="22" y="22" width="{WIDTH - 44}" height="{HEIGHT - 44}" fill="none" stroke="{style.INK}" stroke-width="1.6"/>
<rect x="28" y="28" width="{WIDTH - 56}" height="{HEIGHT - 56}" fill="none" stroke="{style.INK}" stroke-width=".5"/>
{text("THE WORLD", WIDTH / 2 + 8, 88, 46, 'class="title"')}
{text(SUBTITLE, WIDTH / 2, 117, 16, 'class="subtitle"')}
<use href="#edge" fill="url(#sea)"/>
<g clip-path="url(#within)">
<path class="graticule" d="{path(graticule())}"/>
{circles}
<use href="#coast" class="shallows" stroke-width="12" stroke-opacity=".16"/>
<use href="#coast" class="shallows" stroke-width="7" stroke-opacity=".22"/>
<use href="#coast" class="shallows" stroke-width="3" stroke-opacity=".35"/>
<g class="oceans">
{oceans}
</g>
<g class="land">
{world.land()}
</g>
<path class="borders" d="{path(world.lines[True])}"/>
<use href="#coast" class="coasts"/>
<g class="dots">
{world.dots()}
</g>
<g class="names">
{newline.join(map(label_text, names))}
</g>
</g>
<use href="#edge" fill="none" stroke="{style.INK}" stroke-width="1.4"/>
{charts}
{text(facts, WIDTH / 2, 1130, 14, 'text-anchor="middle"')}
{text(CAUTION, WIDTH / 2, 1154, 11, 'class="foot" text-anchor="middle"')}
{text(style.ATTRIBUTION, WIDTH / 2, 1176, 11, 'class="foot" text-anchor="middle"')}
</svg>
""",
        len(names),
    )


def draw_world(work, release):
    sheet, count = draw(read_measured(work), read_json(f"{work}/colours.json"))
    write_whole(f"{release}/world.svg", sheet)
    return {"bytes": len(sheet.encode()), "labels": count}


if __name__ == "__main__":
    give_back(draw_world(*arguments(__doc__, 2)))
