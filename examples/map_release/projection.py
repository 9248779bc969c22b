"""From the Earth to the sheet: cutting at the edge of the map, and two projections.

A map of the whole Earth is cut along one meridian. `cut_rings` and `cut_lines` bring outlines into the
window of 360 degrees around a central meridian: longitudes become degrees east of that meridian in
[-180, 180]; what lies over the edge is continued on the other side, and a ring around a pole is closed
along the map's upper or lower edge.
"""

import math

from geometry import authalic_latitude, turn

# Web Mercator (EPSG:3857) ends where it is square: atan(sinh(pi)).
MERCATOR_LIMIT = math.degrees(math.atan(math.sinh(math.pi)))

# Equal Earth: Šavrič, Patterson and Jenny, The Equal Earth map projection (2019), (3) to (9).
_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796


def equal_earth(longitude, latitude):
    """x, y (upwards) in units of the authalic radius; longitude from the central meridian, degrees.

    Through the authalic latitude areas are true to the ellipsoid, not to a sphere.
    """
    theta = math.asin(math.sqrt(3) / 2 * math.sin(authalic_latitude(latitude)))
    squared = theta * theta
    sixth = squared**3
    slope = 9 * _A4 * sixth * squared + 7 * _A3 * sixth + 3 * _A2 * squared + _A1
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / (3 * slope)
    y = theta * (_A4 * sixth * squared + _A3 * sixth + _A2 * squared + _A1)
    return x, y


def web_mercator(longitude, latitude):
    """x, y (downwards) in [0, 1], the square of tile 0/0/0; beyond its end latitudes stay at the edge."""
    latitude = max(-MERCATOR_LIMIT, min(MERCATOR_LIMIT, latitude))
    y = math.asinh(math.tan(math.radians(latitude))) / (2 * math.pi)
    return 0.5 + longitude / 360, 0.5 - y


def _unrolled(points, centre):
    """The points with longitudes east of `centre`, going on from the first without a jump."""
    x = turn(centre, points[0][0])
    unrolled = [(x, points[0][1])]
    for before, point in zip(points, points[1:]):
        x += turn(before[0], point[0])
        unrolled.append((x, point[1]))
    return unrolled


def _windows(points):
    """The shifts by whole turns that bring a part of the points into [-180, 180]."""
    lowest = min(x for x, _ in points)
    highest = max(x for x, _ in points)
    first = math.ceil((-180 - highest) / 360)
    last = math.floor((180 - lowest) / 360)
    return [360.0 * k for k in range(first, last + 1)]


def _clip_side(ring, limit, sign):
    """Sutherland and Hodgman (1974) for one vertical side; the ring's last point is not its first."""
    kept = []
    before = ring[-1]
    before_inside = sign * before[0] <= sign * limit
    for point in ring:
        inside = sign * point[0] <= sign * limit
        if inside != before_inside:
            share = (limit - before[0]) / (point[0] - before[0])
            kept.append((limit, before[1] + share * (point[1] - before[1])))
        if inside:
            kept.append(point)
        before, before_inside = point, inside
    return kept


def cut_rings(ring, centre):
    """The closed rings that a ring becomes on a map around the meridian `centre`."""
    points = _unrolled(ring, centre)
    if abs(points[-1][0] - points[0][0]) > 180:
        # Around a pole: along the edge of the map back to where it began.
        pole = math.copysign(90.0, sum(latitude for _, latitude in points))
        points += [(points[-1][0], pole), (points[0][0], pole), points[0]]
    pieces = []
    for shift in _windows(points):
        piece = [(x + shift, latitude) for x, latitude in points[:-1]]
        for limit, sign in ((180.0, 1), (-180.0, -1)):
            if piece:
                piece = _clip_side(piece, limit, sign)
        if len(piece) >= 3:
            pieces.append(piece + piece[:1])
    return pieces


def cut_lines(line, centre):
    """The lines that a line becomes on a map around the meridian `centre`."""
    points = _unrolled(line, centre)
    pieces = []
    for shift in _windows(points):
        current = []
        for (x0, y0), (x1, y1) in zip(points, points[1:]):
            x0, x1 = x0 + shift, x1 + shift
            enters, leaves = 0.0, 1.0
            for limit, sign in ((180.0, 1), (-180.0, -1)):
                start, end = sign * (limit - x0), sign * (limit - x1)
                if start < 0 and end < 0:
                    enters = 2.0
                elif start < 0:
                    enters = max(enters, start / (start - end))
                elif end < 0:
                    leaves = min(leaves, start / (start - end))
            if enters > leaves:
                if len(current) > 1:
                    pieces.append(current)
                current = []
                continue
            first = (x0 + enters * (x1 - x0), y0 + enters * (y1 - y0))
            last = (x0 + leaves * (x1 - x0), y0 + leaves * (y1 - y0))
            if enters > 0 or not current:
                if len(current) > 1:
                    pieces.append(current)
                current = [first]
            current.append(last)
            if leaves < 1:
                pieces.append(current)
                current = []
        if len(current) > 1:
            pieces.append(current)
    return pieces


def subdivide(points, step=1.0):
    """The same line with points at most `step` degrees apart, for a projection that bends it."""
    fine = [points[0]]
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        pieces = max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0)) / step))
        fine.extend(
            (x0 + (x1 - x0) * k / pieces, y0 + (y1 - y0) * k / pieces) for k in range(1, pieces + 1)
        )
    return fine
