"""A small canvas: polygons and lines into an antialiased PNG.

The canvas holds one byte, a colour number, for each of SAMPLES x SAMPLES samples a pixel. Areas that
share an edge therefore share no sample, and no background shines through between them.
"""

import math
import struct
import zlib

SAMPLES = 4  # a pixel is SAMPLES samples wide and high; 4 bytes are read as one word in png()


class Canvas:
    """A square of `pixels` by `pixels`, at first all of colour number 0. Coordinates are pixels."""

    def __init__(self, pixels):
        self.pixels = pixels
        self.side = pixels * SAMPLES
        self.samples = bytearray(self.side * self.side)

    def fill(self, rings, number):
        """Fills what lies inside an odd number of rings, each flat: x, y, x, y, ...

        A sample belongs to the area if its centre does.
        """
        side = self.side
        crossings = {}
        for ring in rings:
            before_x, before_y = ring[0] * SAMPLES, ring[1] * SAMPLES
            for k in range(2, len(ring), 2):
                x, y = ring[k] * SAMPLES, ring[k + 1] * SAMPLES
                if before_y < y:
                    top, bottom, start = before_y, y, before_x
                else:
                    top, bottom, start = y, before_y, x
                first = max(0, math.ceil(top - 0.5))
                last = min(side, math.ceil(bottom - 0.5))
                if first < last:
                    slope = (x - before_x) / (y - before_y)
                    start += (first + 0.5 - top) * slope
                    for row in range(first, last):
                        crossings.setdefault(row, []).append(start)
                        start += slope
                before_x, before_y = x, y
        for row, found in crossings.items():
            found.sort()
            offset = row * side
            for left, right in zip(found[::2], found[1::2]):
                begin = max(0, math.ceil(left - 0.5))
                end = min(side, math.ceil(right - 0.5))
                if begin < end:
                    self.samples[offset + begin : offset + end] = bytes((number,)) * (end - begin)

    def stroke(self, line, number, thickness):
        """Draws a flat line `thickness` samples thick."""
        side = self.side
        reach = thickness // 2
        mark = bytes((number,)) * thickness
        for k in range(2, len(line), 2):
            x0, y0, x1, y1 = (value * SAMPLES for value in line[k - 2 : k + 2])
            if max(x0, x1) < -reach or min(x0, x1) > side + reach:
                continue
            if max(y0, y1) < -reach or min(y0, y1) > side + reach:
                continue
            steps = max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0))))
            for step in range(steps + 1):
                left = int(x0 + (x1 - x0) * step / steps) - reach
                top = int(y0 + (y1 - y0) * step / steps) - reach
                begin, end = max(0, left), min(side, left + thickness)
                if begin >= end:
                    continue
                for row in range(max(0, top), min(side, top + thickness)):
                    self.samples[row * side + begin : row * side + end] = mark[: end - begin]

    def png(self, colours, text):
        """The picture as PNG (W3C, second edition) in true colour.

        `colours` are '#rrggbb' by number; a pixel is the mean of its samples. `text` goes into a
        tEXt chunk.
        """
        palette = [bytes.fromhex(colour[1:]) for colour in colours]
        words = memoryview(self.samples).cast("I")
        mixed = {}
        lines = []
        for row in range(self.pixels):
            start = row * SAMPLES * self.pixels
            rows = [
                words[start + k * self.pixels : start + (k + 1) * self.pixels]
                for k in range(SAMPLES)
            ]
            lines.append(b"\0")  # the row is not filtered
            for key in zip(*rows):
                pixel = mixed.get(key)
                if pixel is None:
                    pixel = mixed[key] = _mean(key, palette)
                lines.append(pixel)
        header = struct.pack(">IIBBBBB", self.pixels, self.pixels, 8, 2, 0, 0, 0)
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", header),
                _chunk(b"tEXt", b"Source\0" + text.encode("latin-1")),
                _chunk(b"IDAT", zlib.compress(b"".join(lines), 9)),
                _chunk(b"IEND", b""),
            )
        )


def _mean(key, palette):
    numbers = struct.pack(f"={len(key)}I", *key)
    return bytes(
        (sum(palette[n][channel] for n in numbers) + len(numbers) // 2) // len(numbers)
        for channel in range(3)
    )


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
