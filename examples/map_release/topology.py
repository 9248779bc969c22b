"""Reading TopoJSON (specification 1.0): countries as rings of arcs that neighbours share.

An arc is a line between two junctions and is stored once. A ring is a list of arc numbers; `~n` means
arc n backwards. Where two countries touch, both name the same arc, which is what makes borders
comparable and lets an outline be simplified without tearing neighbours apart.
"""

import dataclasses
import unicodedata

# A ring that stays this close to a pole (degrees) is the trace of a seam in the source, not a coast.
POLE_DEGREES = 0.01


class TopologyError(ValueError):
    """The file is not a topology of countries; the message says what is wrong with it."""


@dataclasses.dataclass
class Country:
    slug: str  # name in task and file names: ASCII letters, digits and '_'
    name: str  # as the source writes it
    code: str  # ISO 3166-1 numeric, or '' where there is none
    polygons: list  # of rings (the first is the outer one) of arc numbers

    def arc_numbers(self):
        """Each arc of the outline once, as it is stored, in order."""
        numbers = (n if n >= 0 else ~n for polygon in self.polygons for ring in polygon for n in ring)
        return list(dict.fromkeys(numbers))


def decode_arcs(topology):
    """All arcs as lists of (longitude, latitude) in degrees.

    With a `transform` positions are integers, each but an arc's first one given as the difference
    to the one before: TopoJSON 2.1.2 and 2.1.3. Without one they are plain.
    """
    if not isinstance(topology, dict) or "arcs" not in topology:
        raise TopologyError("it is not a topology: it has no arcs")
    transform = topology.get("transform")
    if transform is None:
        return [[(position[0], position[1]) for position in arc] for arc in topology["arcs"]]
    scale_x, scale_y = transform["scale"]
    move_x, move_y = transform["translate"]
    arcs = []
    for stored in topology["arcs"]:
        x = y = 0
        arc = []
        for position in stored:
            x += position[0]
            y += position[1]
            arc.append((x * scale_x + move_x, y * scale_y + move_y))
        arcs.append(arc)
    return arcs


def assemble_ring(numbers, arcs):
    """The points of a ring; consecutive arcs share the point at which they meet."""
    points = []
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        if points and points[-1] != arc[0]:
            raise TopologyError(f"arc {number} does not begin where the arc before it ends")
        points.extend(arc[1:] if points else arc)
    if points[0] != points[-1]:
        raise TopologyError(f"the ring of arcs {numbers} is not closed")
    return points


def slug_of(name):
    """The name in letters, digits and underscores: 'Côte d'Ivoire' is 'Cote_dIvoire'."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    kept = "".join(c if c.isalnum() else "_" if c in " -_/" else "" for c in plain)
    return "_".join(part for part in kept.split("_") if part) or "unnamed"


def polygons_of(geometry, arcs):
    """A geometry's polygons without rings at a pole, where the source closed a seam."""
    kind = geometry.get("type")
    if kind == "MultiPolygon":
        polygons = geometry["arcs"]
    elif kind == "Polygon":
        polygons = [geometry["arcs"]]
    elif kind is None:
        polygons = []
    else:
        raise TopologyError(f"a country is a Polygon or a MultiPolygon, not a {kind}")
    cleaned = []
    for polygon in polygons:
        rings = [ring for ring in polygon if not _at_a_pole(ring, arcs)]
        if rings:
            cleaned.append(rings)
    return cleaned


def _at_a_pole(ring, arcs):
    return all(
        abs(latitude) > 90 - POLE_DEGREES
        for number in ring
        for _, latitude in arcs[number if number >= 0 else ~number]
    )


def countries_of(topology, arcs):
    """The countries in the topology's order, with slugs that differ."""
    try:
        geometries = topology["objects"]["countries"]["geometries"]
    except (KeyError, TypeError):
        raise TopologyError("the topology has no object 'countries'") from None
    countries, seen = [], {}
    for geometry in geometries:
        name = str(geometry.get("properties", {}).get("name", "unnamed"))
        slug = slug_of(name)
        seen[slug] = seen.get(slug, 0) + 1
        if seen[slug] > 1:
            slug = f"{slug}_{seen[slug]}"
        polygons = polygons_of(geometry, arcs)
        if polygons:
            countries.append(Country(slug, name, str(geometry.get("id", "")), polygons))
    return countries


def arc_owners(countries):
    """For each arc number the slugs of the countries whose outline it is part of."""
    owners = {}
    for country in countries:
        for number in country.arc_numbers():
            owners.setdefault(number, []).append(country.slug)
    return owners


def neighbours_of(countries):
    """For each slug the sorted slugs of the countries with which it shares an arc."""
    neighbours = {country.slug: set() for country in countries}
    for slugs in arc_owners(countries).values():
        for slug in slugs:
            neighbours[slug].update(other for other in slugs if other != slug)
    return {slug: sorted(others) for slug, others in neighbours.items()}
