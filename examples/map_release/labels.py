"""Where a country's name fits on the map.

A name is a box, one line of text or several. It goes where the box lies wholly inside the country, at the
largest size that fits, and there as near to the middle as it can. Where no size fits, it goes beside
the coast, where it covers neither land nor another name. All lengths are pixels of the sheet, y
downwards.
"""

import dataclasses
import math

ROW = 1.5  # distance of the rows in which the inside of a country is looked up
SMALLEST, STEP = 5.0, 0.5  # font sizes
LINE_HEIGHT = 1.12  # em
# Widths in em, generous for a serif face, so that the name also fits in fonts other than the first choice.
LETTER, CAPITAL, CAPITAL_SPACING = 0.58, 0.74, 0.22
MARGIN = 1.07  # free space around a name, as a factor of its width

# What the source abbreviates and there may be room for.
FULL_NAMES = {
    "Bosnia and Herz.": "Bosnia and Herzegovina",
    "Central African Rep.": "Central African Republic",
    "Dem. Rep. Congo": "DR Congo",
    "Dominican Rep.": "Dominican Republic",
    "Eq. Guinea": "Equatorial Guinea",
    "S. Sudan": "South Sudan",
    "United States of America": "United States",
    "W. Sahara": "Western Sahara",
    "eSwatini": "Eswatini",
}


@dataclasses.dataclass
class Label:
    lines: list  # of text
    size: float  # font size
    x: float  # of the box, where `anchor` says
    y: float  # middle of the box
    capitals: bool = False
    anchor: str = "middle"  # or "start", "end": SVG's text-anchor


def inside_rows(rings, top, bottom):
    """For each row between top and bottom the [left, right] intervals that lie inside the rings."""
    count = max(0, int((bottom - top) / ROW))
    crossings = [[] for _ in range(count)]
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, ring[1:]):
            if y0 == y1:
                continue
            if y0 > y1:
                x0, y0, x1, y1 = x1, y1, x0, y0
            first = max(0, math.ceil((y0 - top) / ROW))
            for row in range(first, min(count, math.ceil((y1 - top) / ROW))):
                crossings[row].append(x0 + (x1 - x0) * (top + row * ROW - y0) / (y1 - y0))
    for found in crossings:
        found.sort()
    return [list(zip(found[::2], found[1::2])) for found in crossings]


def _common(first, second):
    """The intersections of two lists of intervals."""
    return [
        (max(a, c), min(b, d)) for a, b in first for c, d in second if max(a, c) < min(b, d)
    ]


def _best_place(rows, top, width, height, middle):
    """(x, y) of the box's middle nearest to `middle`, or None where no place is large enough."""
    span = max(1, math.ceil(height / ROW))
    best = None
    for first in range(len(rows) - span):
        free = rows[first]
        for row in rows[first + 1 : first + span + 1]:
            free = [(a, b) for a, b in _common(free, row) if b - a >= width]
            if not free:
                break
        y = top + (first + span / 2) * ROW
        for a, b in free:
            if b - a < width:
                continue
            # Room to spare draws the name into the open; the far end of a country does not.
            x = min(max(middle[0], a + width / 2), b - width / 2)
            x += 0.5 * ((a + b) / 2 - x)
            cost = math.hypot(x - middle[0], 1.6 * (y - middle[1])) - 0.25 * (b - a - width)
            if best is None or cost < best[0]:
                best = (cost, x, y)
    return best and best[1:]


def _layouts(text):
    """The text on one line, then broken between words into two and three about equal lines."""
    words = text.split()
    yield [text]
    for count in (2, 3):
        if len(words) < count:
            return
        breaks = (
            [words[:i], words[i:]] if count == 2 else [words[:i], words[i:j], words[j:]]
            for i in range(1, len(words))
            for j in (range(i + 1, len(words)) if count == 3 else (0,))
        )
        lines = ([" ".join(part) for part in parts] for parts in breaks)
        yield min(lines, key=lambda pieces: max(map(len, pieces)))


def full_name(name):
    return FULL_NAMES.get(name, name)


def place(name, area_km2, rings):
    """The Label for a country whose largest part has these projected rings, or None where it does not fit."""
    text = full_name(name)
    capitals = area_km2 > 5e6
    if capitals:
        text = text.upper()
        per_letter = CAPITAL + CAPITAL_SPACING
    else:
        per_letter = LETTER
    xs = [x for x, _ in rings[0]]
    ys = [y for _, y in rings[0]]
    top = min(ys)
    rows = inside_rows(rings, top, max(ys))
    middle = ((min(xs) + max(xs)) / 2, (top + max(ys)) / 2)
    # Larger countries may have larger names, but by far less than their size would allow.
    size = max(SMALLEST, min(17.0, 8.2 * (area_km2 / 1e6) ** 0.25))
    while size >= SMALLEST:
        for lines in _layouts(text):
            width = max(map(len, lines)) * per_letter * size * MARGIN
            height = len(lines) * LINE_HEIGHT * size
            found = _best_place(rows, top, width, height, middle)
            if found:
                return Label(lines, size, *found, capitals)
        size -= STEP
    return None


class Sea:
    """Which cells of the sheet are free: inside the map, no land, no name. Cells are ROW wide and high."""

    def __init__(self, width, height, edge):
        self._columns = int(width / ROW)
        self._rows = int(height / ROW)
        self._taken = bytearray(b"\1") * (self._columns * self._rows)
        self._set([edge], 0)

    def _set(self, rings, value):
        for row, intervals in enumerate(inside_rows(rings, 0.0, self._rows * ROW)):
            for left, right in intervals:
                first = max(0, math.floor(left / ROW))
                last = min(self._columns, math.ceil(right / ROW))
                if first < last:
                    start = row * self._columns
                    self._taken[start + first : start + last] = bytes((value,)) * (last - first)

    def take_area(self, rings):
        self._set(rings, 1)

    def _cells(self, left, top, right, bottom):
        """The slices of the rows that a box touches, or None where it leaves the sheet."""
        first, last = math.floor(left / ROW), math.ceil(right / ROW)
        upper, lower = math.floor(top / ROW), math.ceil(bottom / ROW)
        if first < 0 or upper < 0 or last > self._columns or lower > self._rows:
            return None
        starts = (row * self._columns for row in range(upper, lower))
        return [slice(start + first, start + last) for start in starts]

    def take_box(self, left, top, right, bottom):
        for cells in self._cells(left, top, right, bottom) or ():
            self._taken[cells] = b"\1" * (cells.stop - cells.start)

    def is_free(self, left, top, right, bottom):
        rows = self._cells(left, top, right, bottom)
        return rows is not None and not any(1 in self._taken[cells] for cells in rows)


GAP = 2.5  # between a coast and a name beside it


def place_beside(name, area_km2, shore, sea):
    """The Label at one of the points `shore` of a country's coast, or None where the sea has no room.

    What it covers is then taken.
    """
    text = full_name(name)
    xs = [x for x, _ in shore]
    ys = [y for _, y in shore]
    middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    size = max(5.0, min(8.0, 6.0 + 0.6 * math.log10(max(area_km2, 1.0) / 3e4)))
    points = shore[:: max(1, len(shore) // 80)]
    best = None
    for lines in _layouts(text):
        width = max(map(len, lines)) * LETTER * size
        height = len(lines) * LINE_HEIGHT * size
        # One line east of the coast is what the eye expects.
        price = 4.0 * (len(lines) - 1)
        for x, y in points:
            for anchor, left, top, more in (
                ("start", x + GAP, y - height / 2, 0.0),
                ("end", x - GAP - width, y - height / 2, 2.0),
                ("middle", x - width / 2, y + GAP, 4.0),
                ("middle", x - width / 2, y - GAP - height, 4.0),
            ):
                centre = (left + width / 2, top + height / 2)
                cost = price + more + math.hypot(centre[0] - middle[0], centre[1] - middle[1])
                if best and cost >= best[0]:
                    continue
                if sea.is_free(left, top, left + width, top + height):
                    best = (cost, lines, anchor, left, top, width, height)
    if best is None:
        return None
    _, lines, anchor, left, top, width, height = best
    sea.take_box(left - 1, top, left + width + 1, top + height)
    x = left + {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * width
    return Label(lines, size, x, top + height / 2, anchor=anchor)
