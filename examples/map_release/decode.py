"""decode.py TOPOLOGY WORK: takes the topology apart into one small file for each country.

Writes WORK/index.json (the countries and their neighbours), WORK/countries/SLUG.json (a country's
rings, its arcs' points in degrees and which arc is whose border) and, where the topology has a merged
`land`, WORK/land.json (its rings). So no later task reads the whole topology again.
"""

import topology as topo
from stage import arguments, give_back, read_json, write_json


def decode(topology_path, work):
    topology = read_json(topology_path)
    arcs = topo.decode_arcs(topology)
    countries = topo.countries_of(topology, arcs)
    owners = topo.arc_owners(countries)
    neighbours = topo.neighbours_of(countries)
    for country in countries:
        for polygon in country.polygons:
            for ring in polygon:
                topo.assemble_ring(ring, arcs)  # refuses rings with gaps
        numbers = country.arc_numbers()
        borders = {n: s for n in numbers for s in owners[n] if s != country.slug}
        write_json(
            f"{work}/countries/{country.slug}.json",
            {
                "slug": country.slug,
                "name": country.name,
                "code": country.code,
                "polygons": country.polygons,
                "arcs": {n: arcs[n] for n in numbers},
                "borders": borders,
            },
        )
    if "land" in topology["objects"]:
        land = topology["objects"]["land"]
        polygons = [
            [topo.assemble_ring(ring, arcs) for ring in polygon]
            for geometry in land.get("geometries", [land])
            for polygon in topo.polygons_of(geometry, arcs)
        ]
        write_json(f"{work}/land.json", {"polygons": polygons})
    write_json(
        f"{work}/index.json",
        {
            "countries": [
                {"slug": c.slug, "name": c.name, "neighbours": neighbours[c.slug]} for c in countries
            ]
        },
    )
    return {"countries": len(countries), "arcs": len(arcs), "points": sum(map(len, arcs))}


if __name__ == "__main__":
    give_back(decode(*arguments(__doc__, 2)))
