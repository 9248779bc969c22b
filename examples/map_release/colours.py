"""colours.py WORK: gives every country a colour that none of its neighbours has.

Brélaz, New methods to color the vertices of a graph (DSATUR, 1979): next comes the country whose
neighbours already show the most colours. Of the colours left it takes the one that is least crowded
around it, so that the map is even and islands differ from what lies opposite. Countries whose centre
lies south of 60 degrees south are ice, number -1. Writes WORK/colours.json.
"""

import sys

from geometry import distance
from stage import arguments, give_back, read_measured, write_json
from style import LAND

ICE_SOUTH_OF = -60.0  # degrees
CROWD_KM = 400.0  # countries nearer than this to each other count as this near


def colour(countries, neighbours, colours):
    """{slug: number}; exits where `colours` are not enough.

    `countries` is {slug: (area in km², centre)}, `neighbours` {slug: slugs}.
    """
    given = {slug: -1 for slug, (_, centre) in countries.items() if centre[1] < ICE_SOUTH_OF}
    left = {slug for slug in countries if slug not in given}
    while left:

        def urgency(slug):
            shown = {given[n] for n in neighbours[slug] if n in given}
            return (len(shown), len(neighbours[slug]), countries[slug][0], slug)

        slug = max(left, key=urgency)
        left.remove(slug)
        taken = {given[n] for n in neighbours[slug] if n in given}
        free = [number for number in range(colours) if number not in taken]
        if not free:
            sys.exit(f"{colours} colours are not enough: {slug} has a neighbour of each")
        crowd = dict.fromkeys(free, 0.0)
        for other, number in given.items():
            if number in crowd:
                apart = max(CROWD_KM, distance(countries[slug][1], countries[other][1]))
                crowd[number] += countries[other][0] ** 0.5 / apart**2
        given[slug] = min(free, key=lambda number: (crowd[number], number))
    return given


def colour_countries(work):
    measured = read_measured(work)
    countries = {m["slug"]: (m["area_km2"], m["centre"]) for m in measured}
    neighbours = {m["slug"]: list(m["borders"]) for m in measured}
    given = colour(countries, neighbours, len(LAND))
    write_json(f"{work}/colours.json", given)
    return {"colours": len({number for number in given.values() if number >= 0})}


if __name__ == "__main__":
    give_back(colour_countries(*arguments(__doc__, 1)))
