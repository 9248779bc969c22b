"""measure.py WORK COUNTRY: measures one country on the Earth and weighs the points of its outline.

Reads WORK/countries/COUNTRY.json, writes WORK/measured/COUNTRY.json: area in km² (holes taken out),
lengths in km of the coast and of the border with each neighbour, the centre of the largest part, and
for each arc its points as [longitude, latitude, weight], where the weight in km² says from which
scale on a map may leave the point out (see geometry.point_weights). An arc is weighed as it is stored,
whoever asks, so that neighbours leave out the same points of the border they share.
"""

import geometry
import topology as topo
from stage import arguments, give_back, read_json, write_json


def measure(country):
    """What is known of a country, as a dictionary ready for JSON."""
    arcs = {int(number): [tuple(p) for p in points] for number, points in country["arcs"].items()}
    borders = {int(number): slug for number, slug in country["borders"].items()}
    parts, coast_km, border_km, border_arcs = [], 0.0, {}, {}
    largest = None
    for polygon in country["polygons"]:
        rings = [topo.assemble_ring(numbers, arcs) for numbers in polygon]
        area = geometry.polygon_area(rings)
        parts.append(area)
        if largest is None or area > largest[0]:
            largest = (area, rings[0])
        for numbers in polygon:
            for number in numbers:
                # In the direction in which this country's outline runs, which for a
                # neighbour is the other one: two measurements of one border.
                points = arcs[number] if number >= 0 else arcs[~number][::-1]
                length = geometry.line_length(points)
                neighbour = borders.get(number if number >= 0 else ~number)
                if neighbour is None:
                    coast_km += length
                else:
                    border_km[neighbour] = border_km.get(neighbour, 0.0) + length
                    border_arcs.setdefault(neighbour, []).append(number)
    return {
        "slug": country["slug"],
        "name": country["name"],
        "code": country["code"],
        "area_km2": sum(parts),
        "parts_km2": parts,
        "coast_km": coast_km,
        "borders": {
            slug: {"km": border_km[slug], "arcs": border_arcs[slug]} for slug in sorted(border_km)
        },
        "centre": geometry.ring_centre(largest[1]),
        "polygons": country["polygons"],
        "weighted": {
            number: [
                (longitude, latitude, round(weight, 4))
                for (longitude, latitude), weight in zip(points, geometry.point_weights(points))
            ]
            for number, points in arcs.items()
        },
    }


def measure_country(work, slug):
    measured = measure(read_json(f"{work}/countries/{slug}.json"))
    write_json(f"{work}/measured/{slug}.json", measured)
    return {
        "area_km2": round(measured["area_km2"], 1),
        "coast_km": round(measured["coast_km"], 1),
        "border_km": round(sum(b["km"] for b in measured["borders"].values()), 1),
    }


if __name__ == "__main__":
    give_back(measure_country(*arguments(__doc__, 2)))
