import math
import struct
import zlib

import colours
import geometry
import labels
import projection
import pytest
import raster
import render


def flat_area(ring):
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:])) / 2


def pixels(png):
    """(width, rows of (r, g, b)) of a PNG whose rows are not filtered."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    offset, data, width = 8, b"", 0
    while offset < len(png):
        (length,) = struct.unpack_from(">I", png, offset)
        kind, body = png[offset + 4 : offset + 8], png[offset + 8 : offset + 8 + length]
        (checksum,) = struct.unpack_from(">I", png, offset + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, _ = struct.unpack_from(">II", body)
        if kind == b"IDAT":
            data += body
        offset += 12 + length
    raw = zlib.decompress(data)
    rows = [raw[k : k + 1 + 3 * width] for k in range(0, len(raw), 1 + 3 * width)]
    assert all(row[0] == 0 for row in rows)
    return [[tuple(row[1 + 3 * x : 4 + 3 * x]) for x in range(width)] for row in rows]


def test_equal_earth_keeps_areas():
    for south in range(-90, 90, 15):
        corners = [(20, south), (30, south), (30, south + 15), (20, south + 15), (20, south)]
        drawn = [projection.equal_earth(*p) for p in projection.subdivide(corners, 0.05)]
        true = math.radians(10) * (
            math.sin(geometry.authalic_latitude(south + 15))
            - math.sin(geometry.authalic_latitude(south))
        )
        assert abs(flat_area(drawn)) == pytest.approx(true, rel=2e-4)


def test_mercator_fills_the_square():
    assert projection.web_mercator(-180, 90) == pytest.approx((0, 0), abs=1e-12)
    assert projection.web_mercator(180, -90) == pytest.approx((1, 1))
    assert projection.web_mercator(0, 0) == pytest.approx((0.5, 0.5))


def test_a_ring_over_the_edge_is_cut_in_two():
    ring = [(170, -10), (170, 0), (-170, 0), (-170, -10), (170, -10)]
    pieces = projection.cut_rings(ring, 0.0)
    assert sorted(min(x for x, _ in piece) for piece in pieces) == [-180, 170]
    assert sum(abs(flat_area(piece)) for piece in pieces) == pytest.approx(200)
    (whole,) = projection.cut_rings(ring, 180.0)
    assert abs(flat_area(whole)) == pytest.approx(200)


@pytest.mark.parametrize("centre", [0.0, 11.0, -100.0])
@pytest.mark.parametrize("latitude", [-70, 80])
def test_a_ring_around_a_pole_reaches_the_edge_of_the_map(centre, latitude):
    ring = [(longitude, latitude) for longitude in range(-180, 181, 30)]
    pieces = projection.cut_rings(ring, centre)
    area = sum(abs(flat_area(piece)) for piece in pieces)
    assert area == pytest.approx(360 * (90 - abs(latitude)))
    assert {math.copysign(90, latitude)} <= {y for piece in pieces for _, y in piece}


def test_a_line_over_the_edge_is_cut_in_two():
    pieces = projection.cut_lines([(175, 0), (-175, 10), (-170, 10)], 0.0)
    assert sorted(pieces) == [
        [(-180, pytest.approx(5)), (-175, 10), (-170, 10)],
        [(175, 0), (180, pytest.approx(5))],
    ]


def test_a_line_inside_stays_whole():
    line = [(0, 0), (50, 20), (60, -20)]
    assert projection.cut_lines(line, 0.0) == [line]


def test_areas_that_touch_leave_no_seam():
    canvas = raster.Canvas(8)
    canvas.fill([[0, 0, 3.3, 0, 4.7, 8, 0, 8, 0, 0]], 1)
    canvas.fill([[3.3, 0, 8, 0, 8, 8, 4.7, 8, 3.3, 0]], 1)
    assert set(canvas.samples) == {1}


def test_a_hole_stays_empty_and_edges_are_mixed():
    canvas = raster.Canvas(8)
    canvas.fill([[1.5, 1, 7, 1, 7, 7, 1.5, 7, 1.5, 1], [3, 3, 5, 3, 5, 5, 3, 5, 3, 3]], 1)
    rows = pixels(canvas.png(["#000000", "#c86432"], "made for a test"))
    assert len(rows) == 8
    assert rows[2][2] == (200, 100, 50)
    assert rows[4][4] == rows[0][0] == (0, 0, 0)
    assert rows[2][1] == (100, 50, 25)


def test_what_lies_outside_the_canvas_does_no_harm():
    canvas = raster.Canvas(4)
    canvas.fill([[-50, -50, 50, -50, 50, 50, -50, 50, -50, -50]], 1)
    canvas.stroke([-10, -10, 20, 20], 2, 3)
    canvas.stroke([-5, 90, 90, 90], 2, 3)
    assert len(canvas.samples) == 16 * 16 and set(canvas.samples) == {1, 2}
    assert canvas.samples[5 * 16 + 5] == 2


def test_neighbours_differ_in_colour():
    slugs = [chr(ord("a") + k) for k in range(20)]
    countries = {slug: (1000.0 + k, (k * 3.0, 10.0)) for k, slug in enumerate(slugs)}
    near = {
        slug: [slugs[j] for j in (k - 2, k - 1, k + 1, k + 2) if 0 <= j < 20]
        for k, slug in enumerate(slugs)
    }
    given = colours.colour(countries, near, 4)
    assert set(given) == set(slugs)
    assert all(given[slug] != given[other] for slug in slugs for other in near[slug])


def test_too_few_colours_are_an_error():
    countries = {slug: (1.0, (0.0, 0.0)) for slug in "abc"}
    near = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"]}
    with pytest.raises(SystemExit, match="not enough"):
        colours.colour(countries, near, 2)


def test_the_far_south_is_ice():
    given = colours.colour({"cap": (1e7, (0.0, -85.0)), "isle": (1.0, (0.0, 0.0))}, {"cap": [], "isle": []}, 3)
    assert given["cap"] == -1 and given["isle"] >= 0


def test_a_name_stands_inside_its_country():
    ring = [(0, 0), (200, 0), (200, 100), (0, 100), (0, 0)]
    label = labels.place("Testland", 1e6, [ring])
    assert label.lines == ["Testland"] and label.anchor == "middle"
    half = len("Testland") * labels.LETTER * label.size / 2
    assert half <= label.x <= 200 - half and 0 < label.y < 100


def test_a_name_too_long_for_its_country_is_broken_or_left_out():
    narrow = [(0, 0), (45, 0), (45, 60), (0, 60), (0, 0)]
    assert len(labels.place("Long Named Country", 1e5, [narrow]).lines) > 1
    speck = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)]
    assert labels.place("Speck", 1e4, [speck]) is None


def test_a_name_beside_its_coast_covers_neither_land_nor_names():
    edge = [(0, 0), (300, 0), (300, 200), (0, 200), (0, 0)]
    sea = labels.Sea(300, 200, edge)
    isle = [(140, 90), (150, 90), (150, 100), (140, 100), (140, 90)]
    sea.take_area([isle])
    first = labels.place_beside("Isle", 100.0, isle, sea)
    second = labels.place_beside("Isle", 100.0, isle, sea)
    assert (first.anchor, first.x > 150) == ("start", True)
    assert (first.x, first.y) != (second.x, second.y)
    sea.take_area([edge])
    assert labels.place_beside("Isle", 100.0, isle, sea) is None


def test_paths_are_steps_of_tenths():
    assert render.path([[(1, 1), (2.04, 1), (2.04, 3.5), (1, 1)]], closed=True) == (
        "M1,1l1,0 0,2.5 -1,-2.5z"
    )
    assert render.path([[(1, 1), (1.01, 1.01)]]) == ""
