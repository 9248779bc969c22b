"""The colours that the world map, the tiles and the report share."""

# Land, by the colour numbers that colours.py gives.
LAND = ("#e8c08a", "#dcd694", "#a9c79a", "#e3a78f", "#c0aecf", "#cdb396")
ICE = "#f4f7f8"

OCEAN = "#cfe2ea"
OCEAN_DEEP = "#a9cad9"
GRATICULE = "#a3c1cf"
COAST = "#5c7f90"
BORDER = "#ffffff"
PAPER = "#faf6ec"
INK = "#3b3a36"
FAINT_INK = "#8a8577"

ATTRIBUTION = "Made with Natural Earth"


def land_colour(number):
    """The colour of a number given by colours.py; -1 is ice."""
    return ICE if number < 0 else LAND[number]
