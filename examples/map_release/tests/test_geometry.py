import math

import geometry
import pytest
from conftest import quadrangle_km2


def square(west, east, south, north):
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def test_surface_is_that_of_wgs84():
    assert geometry.EARTH_AREA == pytest.approx(510_065_621.724, abs=0.01)
    assert geometry.AUTHALIC_RADIUS == pytest.approx(6371.0071810, abs=1e-6)
    assert geometry.MEAN_RADIUS == pytest.approx(6371.0087714, abs=1e-6)


def test_octant_is_an_eighth():
    octant = [(0, 0), (90, 0), (90, 90), (0, 90), (0, 0)]
    assert geometry.signed_ring_area(octant) == pytest.approx(geometry.EARTH_AREA / 8, rel=1e-12)


def test_direction_gives_the_sign():
    ring = square(3, 8, 40, 50)
    assert geometry.signed_ring_area(ring) > 0
    assert geometry.signed_ring_area(ring[::-1]) == pytest.approx(
        -geometry.signed_ring_area(ring), rel=1e-12
    )


@pytest.mark.parametrize("west", [0, 90, 135, -180])
def test_hemisphere_between_two_meridians_is_a_half(west):
    meridians = square(west, west + 180, -90, 90)
    assert abs(geometry.signed_ring_area(meridians)) == pytest.approx(
        geometry.EARTH_AREA / 2, rel=1e-12
    )


def test_equator_halves_the_earth():
    equator = [(longitude, 0) for longitude in (0, 120, 240, 360)]
    assert abs(geometry.signed_ring_area(equator)) == pytest.approx(
        geometry.EARTH_AREA / 2, rel=1e-12
    )


def test_antimeridian_does_not_matter():
    here = geometry.signed_ring_area(square(-10, 10, -20, 5))
    there = geometry.signed_ring_area([(170, -20), (-170, -20), (-170, 5), (170, 5), (170, -20)])
    assert there == pytest.approx(here, rel=1e-12)


def test_two_names_of_the_antimeridian_are_one_place():
    ring = [(179, 0), (180, 0), (-180, 0), (-179, 0), (-179, 1), (179, 1), (179, 0)]
    plain = [(-1, 0), (1, 0), (1, 1), (-1, 1), (-1, 0)]
    assert geometry.signed_ring_area(ring) == pytest.approx(geometry.signed_ring_area(plain), rel=1e-9)


@pytest.mark.parametrize("latitude", [-70, 70])
def test_ring_around_a_pole_encloses_the_cap(latitude):
    ring = [(longitude, latitude) for longitude in range(-180, 181, 15)]
    south, north = (latitude, 90) if latitude > 0 else (-90, latitude)
    cap = quadrangle_km2(-180, 180, south, north)
    assert abs(geometry.signed_ring_area(ring)) == pytest.approx(cap, rel=1e-5)


@pytest.mark.parametrize("south", [-80, -45, 0, 30, 60, 80])
def test_area_is_the_ellipsoids(south):
    area = geometry.signed_ring_area(square(10, 14, south, south + 5))
    assert area == pytest.approx(quadrangle_km2(10, 14, south, south + 5), rel=1e-5)


def test_holes_are_taken_out_whatever_their_direction():
    outer, hole = square(0, 20, 0, 20), square(5, 10, 5, 10)
    expected = geometry.signed_ring_area(outer) - geometry.signed_ring_area(hole)
    for rings in ([outer, hole], [outer, hole[::-1]], [outer[::-1], hole]):
        assert geometry.polygon_area(rings) == pytest.approx(expected, rel=1e-12)


def test_distances():
    degree = math.radians(1) * geometry.MEAN_RADIUS
    assert geometry.distance((0, 0), (0, 90)) == pytest.approx(90 * degree, rel=1e-12)
    assert geometry.distance((0, 0), (180, 0)) == pytest.approx(180 * degree, rel=1e-12)
    assert geometry.distance((179.5, 0), (-179.5, 0)) == pytest.approx(degree, rel=1e-9)
    assert geometry.distance((5, 5), (5, 5)) == 0


def test_an_edge_along_a_parallel_is_as_long_as_the_parallel():
    length = geometry.line_length([(-120, 49), (-100, 49)])
    parallel = math.radians(20) * math.cos(math.radians(49)) * geometry.MEAN_RADIUS
    assert length == pytest.approx(parallel, rel=1e-5)
    great_circle = geometry.distance((-120, 49), (-100, 49))
    assert length > great_circle * 1.001


def test_a_line_is_as_long_backwards():
    line = [(179, 10), (-179, 12), (-175, 11.5), (-170, 20)]
    assert geometry.line_length(line[::-1]) == pytest.approx(geometry.line_length(line), rel=1e-13)


def test_dense_points_are_near_each_other_and_do_not_jump():
    dense = geometry.densify([(179, 0), (-179, 1), (-179, 3)], 0.25)
    assert dense[0] == (179, 0) and dense[-1] == pytest.approx((181, 3))
    for (x0, y0), (x1, y1) in zip(dense, dense[1:]):
        assert max(abs(x1 - x0), abs(y1 - y0)) <= 0.25 + 1e-9


def test_centre_of_a_ring_over_the_antimeridian():
    longitude, latitude = geometry.ring_centre(
        [(170, -5), (-170, -5), (-170, 5), (170, 5), (170, -5)]
    )
    assert abs(longitude) == pytest.approx(180, abs=1e-9) and latitude == pytest.approx(0, abs=1e-9)


def test_centre_does_not_depend_on_direction():
    ring = square(0, 10, 40, 50)
    assert geometry.ring_centre(ring) == pytest.approx(geometry.ring_centre(ring[::-1]))
    assert geometry.ring_centre(ring)[0] == pytest.approx(5)


def test_the_flattest_point_weighs_least():
    line = [(0, 0), (1, 0.01), (2, 1), (3, 0), (4, 0)]
    weights = geometry.point_weights(line)
    assert weights[0] == weights[-1] == geometry.ALWAYS
    assert weights[1] == min(weights)
    assert weights[2] == geometry.ALWAYS  # the last inner point stays


def test_weights_only_grow_while_points_go():
    line = [(k / 10, math.sin(k * 1.7) * (k % 5) / 10) for k in range(60)]
    weights = geometry.point_weights(line)
    weighted = [(*point, weight) for point, weight in zip(line, weights)]
    sizes = [len(geometry.simplify(weighted, threshold)) for threshold in (0, 10, 100, 1000, 1e11)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == 60 and sizes[-1] == 3


def test_an_island_never_collapses():
    island = [(0, 0), (0.01, 0), (0.02, 0.01), (0.01, 0.02), (0, 0.01), (0, 0)]
    weighted = [(*p, w) for p, w in zip(island, geometry.point_weights(island))]
    rest = geometry.simplify(weighted, 1e11)
    assert len(rest) == 4 and rest[0] == rest[-1] and len(set(rest)) == 3
