"""report.py DATABASE PUBLISHED WORK RELEASE: closes the release with RELEASE/report.html.

Runs after every other task. Gathers what the checks found, refuses to report if one of them is
missing, counts the tiles, makes the database a single file (it leaves the write-ahead log), and
clears away what attempts that were killed left unfinished.
"""

import html
import os
import sys

import geometry
import load
import style
from stage import arguments, give_back, read_json, write_whole
from topology import slug_of

PAGE_STYLE = f"""
body {{ margin: 0 auto; max-width: 1080px; padding: 24px; background: {style.PAPER}; color: {style.INK};
       font: 16px/1.5 Georgia, 'Liberation Serif', 'DejaVu Serif', serif; }}
h1 {{ font-weight: normal; letter-spacing: .12em; }} h2 {{ font-weight: normal; margin-top: 2em; }}
img {{ max-width: 100%; }} table {{ border-collapse: collapse; }} a {{ color: {style.COAST}; }}
th, td {{ padding: .2em .9em .2em 0; text-align: left; border-bottom: 1px solid #e4dcc9; }}
th {{ font-weight: normal; font-style: italic; }} .n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.tables {{ display: flex; flex-wrap: wrap; gap: 24px 40px; align-items: start; font-size: 14px; }} .tiles {{ line-height: 0; width: 768px; max-width: 100%; }}
.tiles img {{ width: 25%; }} .faint {{ color: {style.FAINT_INK}; }}
"""


def table(headings, rows):
    """An HTML table; numbers come as text that is aligned to the right."""

    def line(kind, values):
        cells = (
            f"<{kind}{' class=n' if number else ''}>{html.escape(value)}</{kind}>"
            for value, number in zip(values, numbers)
        )
        return "<tr>" + "".join(cells) + "</tr>"

    numbers = [value[0] in "+-0123456789" for value in rows[0]] if rows else [False] * len(headings)
    lines = [line("th", headings), *(line("td", row) for row in rows)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def collect(connection, published, work, release):
    """All figures of the report, as a dictionary; exits where a check has left no result."""
    checks = []
    for entry in published["areas"]:
        path = f"{work}/checks/{slug_of(entry['country'])}.json"
        if not os.path.exists(path):
            sys.exit(f"the area of {entry['country']} was not checked: there is no {path}")
        checks.append(read_json(path))
    index = read_json(f"{work}/index.json")
    agreed = [
        border["difference_km"]
        for country in index["countries"]
        if country["neighbours"]
        for border in read_json(f"{work}/neighbours/{country['slug']}.json")["borders"].values()
    ]
    countries = connection.execute(
        "SELECT name, area_km2, coast_km, border_km, (SELECT count(*) FROM border WHERE country = slug) "
        "FROM country ORDER BY area_km2 DESC, name"
    ).fetchall()
    if len(countries) != len(index["countries"]):
        sys.exit(f"{len(countries)} of {len(index['countries'])} countries are in the database")
    borders = connection.execute(
        "SELECT one.name, other.name, km FROM border "
        "JOIN country AS one ON one.slug = border.country "
        "JOIN country AS other ON other.slug = border.neighbour "
        "WHERE border.country < border.neighbour ORDER BY km DESC, 1, 2"
    ).fetchall()
    if len(agreed) != 2 * len(borders):
        sys.exit(f"{len(agreed)} sides of {len(borders)} borders were compared")
    land_check = f"{work}/land_check.json"
    tiles = [name for _, _, names in os.walk(f"{release}/tiles") for name in names]
    return {
        "checks": checks,
        "countries": countries,
        "borders": borders,
        "worst_km": max(agreed, default=0.0),
        "land": read_json(land_check) if os.path.exists(land_check) else None,
        "tiles": sum(name.endswith(".png") for name in tiles),
    }


def page(found, published):
    """The report as HTML."""
    countries, borders = found["countries"], found["borders"]
    area = sum(row[1] for row in countries)
    coast = sum(row[2] for row in countries)
    tolerance = published["tolerance_percent"]
    checks = table(
        ("Country", "Measured km²", "Published km²", "Difference", "Chosen because it"),
        [
            (
                check["country"],
                f"{check['measured_km2']:,.0f}",
                f"{check['published_km2']:,} ({check['kind']})",
                f"{check['difference_percent']:+.2f} %",
                check["shows"],
            )
            for check in found["checks"]
        ],
    )
    largest = table(
        ("Country", "km²", "Coast km", "Borders km"),
        [(name, f"{a:,.0f}", f"{c:,.0f}", f"{b:,.0f}") for name, a, c, b, _ in countries[:15]],
    )
    longest = table(
        ("Land border", "km"), [(f"{one} – {other}", f"{km:,.0f}") for one, other, km in borders[:15]]
    )
    social = sorted(countries, key=lambda row: (-row[4], row[0]))[:15]
    most = table(("Country", "Neighbours"), [(row[0], str(row[4])) for row in social if row[4]])
    worst = found["worst_km"]
    apart = "by less than a millimetre" if worst < 1e-6 else f"by {worst:.1e} km at most"
    land = ""
    if found["land"]:
        land = (
            f"<li>The countries sum up to the area inside the source's merged land outline, which has no border "
            f"in it, to {found['land']['relative_difference']:.0e} of it: none is counted twice or missed.</li>"
        )
    mosaic = "\n".join(
        "".join(f'<img src="tiles/2/{x}/{y}.png" alt="">' for x in range(4)) for y in range(4)
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Map release</title><style>{PAGE_STYLE}</style></head>
<body>
<h1>MAP RELEASE</h1>
<p><a href="world.svg"><img src="world.svg" alt="The world in the Equal Earth projection"></a></p>
<p>{len(countries)} countries and territories, {area:,.0f} km² of land ({100 * area / geometry.EARTH_AREA:.1f} % of
the Earth), {coast:,.0f} km of coast, {len(borders)} land borders of {sum(row[2] for row in borders):,.0f} km.
The figures of every country are in <a href="countries.csv">countries.csv</a>, the full outlines in
<a href="atlas.db">atlas.db</a> (SQLite), {found['tiles']} map tiles in <a href="tiles/">tiles/</a>.</p>
<h2>Areas against published ones</h2>
{checks}
<p>All within {tolerance} %, or this report would not have been made. Source: {html.escape(published['source'])}.
<span class="faint">Outlines for a scale of 1 : 50,000,000 leave out bays and islets of a few kilometres, and
figures published by states count some waters and some claimed land that an outline does not.</span></p>
<h2>What else was checked</h2>
<ul>
<li>Each of the {len(borders)} land borders was measured from both sides; the lengths differ
{apart}, and both sides simplify it to the same line.</li>
{land}
<li>Every outline stored in the database was read back and measured again.</li>
</ul>
<h2>The most of it</h2>
<div class="tables">
{largest}
{longest}
{most}
</div>
<p class="faint">Lengths are of the outline at this scale; a coast has no length without one.</p>
<h2>Tiles</h2>
<p>Web Mercator, zoom 0 to 3, 256 pixels. This is zoom 2:</p>
<div class="tiles">
{mosaic}
</div>
<p class="faint">{style.ATTRIBUTION}. Areas on the WGS84 ellipsoid, lengths on the mean sphere of {geometry.MEAN_RADIUS:.3f} km.</p>
</body></html>
"""


def clear_unfinished(release):
    for folder, _, names in os.walk(release):
        for name in names:
            if name.endswith(".unfinished"):
                os.unlink(os.path.join(folder, name))


def write_report(database, published_path, work, release):
    published = read_json(published_path)
    connection = load.connect(database)
    found = collect(connection, published, work, release)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    clear_unfinished(release)
    write_whole(f"{release}/report.html", page(found, published))
    return {
        "countries": len(found["countries"]),
        "checks_passed": len(found["checks"]),
        "worst_percent": round(
            max((abs(check["difference_percent"]) for check in found["checks"]), default=0.0), 2
        ),
    }


if __name__ == "__main__":
    give_back(write_report(*arguments(__doc__, 4)))
