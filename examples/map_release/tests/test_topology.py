import decode
import geometry
import measure
import neighbours
import outlines
import pytest
import stage
import topology as topo
from conftest import ARCS


def measured_countries(topology, tmp_path):
    data = tmp_path / "world.json"
    stage.write_json(str(data), topology)
    decode.decode(str(data), str(tmp_path))
    index = stage.read_json(f"{tmp_path}/index.json")
    return {
        entry["slug"]: measure.measure(stage.read_json(f"{tmp_path}/countries/{entry['slug']}.json"))
        for entry in index["countries"]
    }


def through_json(value, tmp_path):
    stage.write_json(f"{tmp_path}/value.json", value)
    return stage.read_json(f"{tmp_path}/value.json")


def test_quantised_arcs_are_sums_of_differences():
    topology = {
        "transform": {"scale": [0.1, 2], "translate": [100, -50]},
        "arcs": [[[10, 5], [1, 0], [-3, 2]]],
    }
    (arc,) = topo.decode_arcs(topology)
    assert arc == [pytest.approx((101, -40)), pytest.approx((101.1, -40)), pytest.approx((100.8, -36))]


def test_plain_arcs_are_taken_as_they_are():
    assert topo.decode_arcs({"arcs": [[[1.5, 2], [3, 4]]]}) == [[(1.5, 2), (3, 4)]]


def test_decodes_what_was_encoded(topology):
    assert topo.decode_arcs(topology) == [[tuple(p) for p in ARCS[n]] for n in sorted(ARCS)]


def test_rings_run_backwards_along_negative_arcs(topology):
    arcs = topo.decode_arcs(topology)
    ring = topo.assemble_ring([2, ~0], arcs)
    assert ring[0] == ring[-1] == (10, 0)
    assert ring[3:5] == [(10, 10), (9, 7)]


def test_a_gap_in_a_ring_is_refused(topology):
    arcs = topo.decode_arcs(topology)
    with pytest.raises(topo.TopologyError, match="does not begin"):
        topo.assemble_ring([0, 3], arcs)
    with pytest.raises(topo.TopologyError, match="not closed"):
        topo.assemble_ring([0], arcs)


def test_slugs_are_plain_and_differ():
    assert topo.slug_of("Côte d'Ivoire") == "Cote_dIvoire"
    assert topo.slug_of("São Tomé and Principe") == "Sao_Tome_and_Principe"
    assert topo.slug_of("St-Barthélemy") == "St_Barthelemy"
    assert topo.slug_of("Dem. Rep. Congo") == "Dem_Rep_Congo"
    geometry_ = {"type": "Polygon", "properties": {"name": "Twin"}, "arcs": [[0]]}
    topology = {"objects": {"countries": {"geometries": [geometry_, geometry_]}}}
    slugs = [c.slug for c in topo.countries_of(topology, [[(0, 0), (1, 0), (1, 1), (0, 0)]])]
    assert slugs == ["Twin", "Twin_2"]


def test_a_seam_at_the_pole_is_no_coast(topology):
    countries = topo.countries_of(topology, topo.decode_arcs(topology))
    assert [c.polygons for c in countries if c.name == "South Cap"] == [[[[6]]]]


def test_neighbours_are_those_who_share_an_arc(topology):
    countries = topo.countries_of(topology, topo.decode_arcs(topology))
    found = topo.neighbours_of(countries)
    assert found == {
        "West": ["East"],
        "East": ["West"],
        "Ringland": ["Ile_dOr"],
        "Ile_dOr": ["Ringland"],
        "Dateline": [],
        "South_Cap": [],
    }


def test_borders_agree_from_both_sides(topology, tmp_path):
    found = through_json(measured_countries(topology, tmp_path), tmp_path)
    for one, other in (("West", "East"), ("Ringland", "Ile_dOr")):
        assert found[one]["borders"][other]["km"] == pytest.approx(
            geometry.line_length(ARCS[0 if one == "West" else 4]), rel=1e-12
        )
        assert neighbours.differences(found[one], found[other]) == []
    assert found["Ile_dOr"]["coast_km"] == 0


def test_every_kind_of_difference_is_found(topology, tmp_path):
    found = through_json(measured_countries(topology, tmp_path), tmp_path)
    west, east = found["West"], found["East"]
    assert "only one" in neighbours.differences(west, found["Dateline"])[0]
    east["borders"]["West"]["km"] *= 1 + 1e-6
    east["weighted"]["0"][2][2] += 1
    said = " ".join(neighbours.differences(west, east))
    assert "from the other" in said and "simplified differently" in said
    east["borders"]["West"]["arcs"] = [0]
    assert "opposite directions" in neighbours.differences(west, east)[0]


def test_simplified_neighbours_share_their_border(topology, tmp_path):
    found = through_json(measured_countries(topology, tmp_path), tmp_path)
    for threshold in (0, 3000, 1e11):
        lines = {
            slug: geometry.simplify(found[slug]["weighted"]["0"], threshold) for slug in ("West", "East")
        }
        assert lines["West"] == lines["East"]
        arcs = outlines.simplified_arcs(list(found.values()), threshold)
        points = {number: line for number, (line, _) in arcs.items()}
        west = topo.assemble_ring([0, 1], points)
        east = topo.assemble_ring([2, ~0], points)
        shared = set(lines["West"])
        assert shared <= set(west) and shared <= set(east)
        areas = geometry.polygon_area([west]) + geometry.polygon_area([east])
        whole = geometry.polygon_area([topo.assemble_ring([1, 2], points)])
        assert areas == pytest.approx(whole, rel=1e-9)
    assert len(lines["West"]) == 3 < len(ARCS[0])


def test_a_file_without_countries_is_refused():
    with pytest.raises(topo.TopologyError, match="countries"):
        topo.countries_of({"objects": {}}, [])
