"""checks.py DATABASE PUBLISHED WORK COUNTRY: compares a measured area with the published one.

COUNTRY is a slug. PUBLISHED is a file like published_areas.json, which states the figures, where they
come from and the tolerance. Fails where the area is further off than that.

checks.py DATABASE WORK: compares the sum of all countries' areas with the area inside the merged land
outline, which has no border in it. They must agree to a part in 10^9: so no country is counted twice,
missed, or wound the wrong way round.
"""

import sys

import geometry
import load
from stage import give_back, read_json, write_json
from topology import slug_of

LAND_TOLERANCE = 1e-9  # relative


def published_for(published, slug):
    """The entry of the country with this slug."""
    return next(entry for entry in published["areas"] if slug_of(entry["country"]) == slug)


def compare(measured, expected, tolerance_percent):
    """(difference in percent of what is expected, whether that is within the tolerance)."""
    difference = 100 * (measured - expected) / expected
    return difference, abs(difference) <= tolerance_percent


def check_country(database, published_path, work, slug):
    published = read_json(published_path)
    entry = published_for(published, slug)
    connection = load.connect(database)
    (area,) = connection.execute("SELECT area_km2 FROM country WHERE slug = ?", (slug,)).fetchone()
    connection.close()
    difference, within = compare(area, entry["km2"], published["tolerance_percent"])
    if not within:
        sys.exit(
            f"{entry['country']}: measured {area:,.0f} km², published {entry['km2']:,} km²: "
            f"{difference:+.2f} % is more than {published['tolerance_percent']} %"
        )
    found = {
        "country": entry["country"],
        "measured_km2": area,
        "published_km2": entry["km2"],
        "kind": entry["kind"],
        "shows": entry["shows"],
        "difference_percent": difference,
    }
    write_json(f"{work}/checks/{slug}.json", found)
    return {"difference_percent": round(difference, 3)}


def check_land(database, work):
    connection = load.connect(database)
    areas = [area for (area,) in connection.execute("SELECT area_km2 FROM country")]
    connection.close()
    land = sum(geometry.polygon_area(rings) for rings in read_json(f"{work}/land.json")["polygons"])
    difference = abs(sum(areas) - land) / land
    if difference > LAND_TOLERANCE:
        sys.exit(f"the countries sum up to {sum(areas)} km², the land outline holds {land} km²")
    write_json(f"{work}/land_check.json", {"land_km2": land, "relative_difference": difference})
    return {"land_km2": round(land), "relative_difference": difference}


def main():
    given = sys.argv[1:]
    if len(given) == 4:
        give_back(check_country(*given))
    elif len(given) == 2:
        give_back(check_land(*given))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
