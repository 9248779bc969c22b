"""neighbours.py WORK COUNTRY: checks a country's borders against what its neighbours say of them.

For every neighbour: it names this country too; both name the same arcs, in opposite directions (they
lie on different sides); both measured the same length, to a part in 10^9, on their own; and both gave
every point the same weight, so that their outlines go on fitting at every scale. Writes
WORK/neighbours/COUNTRY.json; fails with every difference it found.
"""

import sys

from stage import arguments, give_back, read_json, write_json

TOLERANCE = 1e-9  # relative; the two sums differ in the order of their terms alone


def differences(one, other):
    """What two neighbours disagree about, in sentences; empty where they agree."""
    found = []
    mine = one["borders"].get(other["slug"])
    theirs = other["borders"].get(one["slug"])
    pair = f"{one['name']} - {other['name']}"
    if mine is None or theirs is None:
        return [f"{pair}: only one of them knows of the border"]
    if sorted(mine["arcs"]) != sorted(~number for number in theirs["arcs"]):
        found.append(f"{pair}: the border's arcs are not the same in opposite directions")
    if abs(mine["km"] - theirs["km"]) > TOLERANCE * max(mine["km"], theirs["km"]):
        found.append(f"{pair}: {mine['km']} km from one side, {theirs['km']} km from the other")
    for number in mine["arcs"]:
        key = str(number if number >= 0 else ~number)
        if one["weighted"].get(key) != other["weighted"].get(key):
            found.append(f"{pair}: arc {key} is simplified differently")
    return found


def compare_borders(work, slug):
    country = read_json(f"{work}/measured/{slug}.json")
    found, checked = [], {}
    for neighbour in country["borders"]:
        other = read_json(f"{work}/measured/{neighbour}.json")
        found += differences(country, other)
        if not found:
            mine, theirs = country["borders"][neighbour]["km"], other["borders"][slug]["km"]
            checked[neighbour] = {"km": mine, "difference_km": abs(mine - theirs)}
    if found:
        sys.exit("\n".join(found))
    write_json(f"{work}/neighbours/{slug}.json", {"slug": slug, "borders": checked})
    return {"neighbours": len(checked)}


if __name__ == "__main__":
    give_back(compare_borders(*arguments(__doc__, 2)))
