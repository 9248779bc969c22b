"""Measuring on the Earth: areas, lengths, centres, and how much a point matters to an outline.

Points are (longitude, latitude) in degrees, geodetic on WGS84. A ring is a list of points whose last
one equals its first. Lengths are in km, areas in km². Nothing here knows of the antimeridian as a
place: only differences of longitude count, taken the short way round, so that a ring may cross it
or run around a pole.
"""

import heapq
import math

# WGS84 (NIMA TR8350.2, 2000): semi-major axis in km and flattening.
EQUATORIAL_RADIUS = 6378.137
FLATTENING = 1 / 298.257223563
ECCENTRICITY_SQUARED = FLATTENING * (2 - FLATTENING)
ECCENTRICITY = math.sqrt(ECCENTRICITY_SQUARED)

# Mean radius (2a + b) / 3, IUGG 1980: the sphere on which lengths are taken.
MEAN_RADIUS = EQUATORIAL_RADIUS * (3 - FLATTENING) / 3

# How far apart, in degrees, the points may be between which an edge is taken for a great circle.
# Natural Earth's edges are straight in longitude and latitude; over a quarter of a degree the two agree.
EDGE_DEGREES = 0.25

# The weight of a point that no simplification may drop.
ALWAYS = 1e12


def _authalic_q(sine):
    """Snyder, Map Projections: A Working Manual (1987), (3-12), for the sine of a latitude."""
    return (1 - ECCENTRICITY_SQUARED) * (
        sine / (1 - ECCENTRICITY_SQUARED * sine * sine)
        + math.atanh(ECCENTRICITY * sine) / ECCENTRICITY
    )


_Q_POLE = _authalic_q(1.0)

# Radius of the sphere with the ellipsoid's surface; Snyder (3-13).
AUTHALIC_RADIUS = EQUATORIAL_RADIUS * math.sqrt(_Q_POLE / 2)
EARTH_AREA = 4 * math.pi * AUTHALIC_RADIUS**2


def authalic_latitude(latitude):
    """Radians on the authalic sphere for a geodetic latitude in degrees; Snyder (3-11).

    Areas on that sphere are the ellipsoid's; taking geodetic latitudes for spherical ones would be
    wrong by up to half a percent.
    """
    ratio = _authalic_q(math.sin(math.radians(latitude))) / _Q_POLE
    return math.asin(max(-1.0, min(1.0, ratio)))


def turn(first, second):
    """Degrees of longitude from `first` to `second` the short way, in [-180, 180]."""
    return math.remainder(second - first, 360.0)


def densify(points, step=EDGE_DEGREES):
    """The same line with further points, so that none of its edges spans more than `step` degrees.

    Longitudes go on from the first point without a jump, beyond 180 degrees if need be.
    """
    longitude, latitude = points[0]
    dense = [(longitude, latitude)]
    for next_longitude, next_latitude in points[1:]:
        along = turn(longitude, next_longitude)
        up = next_latitude - latitude
        pieces = max(1, math.ceil(max(abs(along), abs(up)) / step))
        for k in range(1, pieces + 1):
            dense.append((longitude + along * k / pieces, latitude + up * k / pieces))
        longitude += along
        latitude = next_latitude
    return dense


def signed_ring_area(ring):
    """Area in km² of the smaller part of the Earth that the ring cuts off.

    Positive if that part lies to the left of the ring's direction, negative if to the right. The sum
    of the spherical triangles between each edge and the north pole, of which each has, by Todhunter
    (Spherical Trigonometry, 1886, art. 103), two sides and the angle between them:
        tan(E/2) = tan(a/2) tan(b/2) sin C / (1 + tan(a/2) tan(b/2) cos C)
    """
    excess = 0.0
    points = densify(ring)
    before_longitude = points[0][0]
    half = math.pi / 4 - authalic_latitude(points[0][1]) / 2
    before_sine, before_cosine = math.sin(half), math.cos(half)
    for longitude, latitude in points[1:]:
        half = math.pi / 4 - authalic_latitude(latitude) / 2
        sine, cosine = math.sin(half), math.cos(half)
        angle = math.radians(longitude - before_longitude)
        both = before_sine * sine
        excess += 2 * math.atan2(
            both * math.sin(angle), before_cosine * cosine + both * math.cos(angle)
        )
        before_longitude, before_sine, before_cosine = longitude, sine, cosine
    return math.remainder(excess, 4 * math.pi) * AUTHALIC_RADIUS**2


def polygon_area(rings):
    """Area in km² inside the first ring and outside the others; no ring may enclose a hemisphere."""
    outer, *holes = (abs(signed_ring_area(ring)) for ring in rings)
    return outer - sum(holes)


def distance(first, second):
    """Great-circle distance in km on the mean sphere by the haversine formula (Sinnott, 1984)."""
    longitude1, latitude1 = first
    longitude2, latitude2 = second
    h = (
        math.sin(math.radians(latitude2 - latitude1) / 2) ** 2
        + math.cos(math.radians(latitude1))
        * math.cos(math.radians(latitude2))
        * math.sin(math.radians(longitude2 - longitude1) / 2) ** 2
    )
    return 2 * MEAN_RADIUS * math.asin(math.sqrt(min(1.0, h)))


def line_length(points):
    """Length of a line in km; its edges are straight in longitude and latitude."""
    dense = densify(points)
    return math.fsum(map(distance, dense, dense[1:]))


def unit_vector(point):
    longitude, latitude = math.radians(point[0]), math.radians(point[1])
    cosine = math.cos(latitude)
    return (cosine * math.cos(longitude), cosine * math.sin(longitude), math.sin(latitude))


def _cross(a, b):
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def ring_centre(ring):
    """The point above which the enclosed area balances.

    By Stokes' theorem the integral of the position over a part of the unit sphere is half the sum,
    over the edges of its boundary, of the edge's angle times the unit normal of its great circle.
    """
    total = [0.0, 0.0, 0.0]
    vectors = [unit_vector(point) for point in ring]
    for a, b in zip(vectors, vectors[1:]):
        normal = _cross(a, b)
        size = math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        if size:
            angle = math.atan2(size, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])
            for i in range(3):
                total[i] += normal[i] / size * angle
    if signed_ring_area(ring) < 0:
        total = [-value for value in total]
    if not any(total):
        return ring[0]
    return (
        math.degrees(math.atan2(total[1], total[0])),
        math.degrees(math.atan2(total[2], math.hypot(total[0], total[1]))),
    )


def _triangle_area(a, b, c):
    """km² of the flat triangle of three unit vectors; for neighbouring points the sphere's."""
    normal = _cross([b[i] - a[i] for i in range(3)], [c[i] - a[i] for i in range(3)])
    return math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) / 2 * MEAN_RADIUS**2


def point_weights(points):
    """How much each point of an arc matters: the area in km² that dropping it would change.

    Visvalingam and Whyatt, Line generalisation by repeated elimination of points (1993): the point with
    the smallest triangle goes first, and no point weighs less than one that went before it. Ends
    always stay, so arcs go on meeting where they met; so do the last inner points (two of a closed
    arc, one of any other), so that no ring collapses to nothing.
    """
    count = len(points)
    weights = [ALWAYS] * count
    closed = points[0] == points[-1]
    left_to_drop = count - 2 - (2 if closed else 1)
    if left_to_drop <= 0:
        return weights
    vectors = [unit_vector(point) for point in points]
    before = list(range(-1, count - 1))
    after = list(range(1, count + 1))
    area = [ALWAYS] * count
    for i in range(1, count - 1):
        area[i] = _triangle_area(vectors[i - 1], vectors[i], vectors[i + 1])
    heap = [(area[i], i) for i in range(1, count - 1)]
    heapq.heapify(heap)
    dropped = [False] * count
    highest = 0.0
    while left_to_drop:
        size, i = heapq.heappop(heap)
        if dropped[i] or size != area[i]:
            continue  # an entry from before a neighbour was dropped
        dropped[i] = True
        left_to_drop -= 1
        highest = max(highest, size)
        weights[i] = highest
        left, right = before[i], after[i]
        after[left], before[right] = right, left
        for j in (left, right):
            if 0 < j < count - 1:
                area[j] = _triangle_area(vectors[before[j]], vectors[j], vectors[after[j]])
                heapq.heappush(heap, (area[j], j))
    return weights


def simplify(weighted, threshold):
    """The points of [longitude, latitude, weight] triples that weigh `threshold` km² or more."""
    return [(point[0], point[1]) for point in weighted if point[2] >= threshold]
