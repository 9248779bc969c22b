"""Writes C++ that holds the given files: embed_web_files.py FILE... > web_files_data.cc."""

import os
import sys


def literal(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), 32):
        part = "".join("\\%03o" % byte for byte in data[start:start + 32])
        lines.append('    "%s"' % part)
    return "\n".join(lines) or '    ""'


def main(paths: list) -> None:
    print('#include "service/http/web_files.h"\n')
    print("namespace kartograph::service {")
    print("namespace {\n")
    entries = []
    for path in sorted(paths, key=os.path.basename):
        with open(path, "rb") as file:
            data = file.read()
        variable = "kFile%d" % len(entries)
        print("constexpr char %s[] =\n%s;\n" % (variable, literal(data)))
        entries.append('    {"%s", {%s, %d}},' % (os.path.basename(path), variable, len(data)))
    print("constexpr WebFile kFiles[] = {\n%s\n};\n" % "\n".join(entries))
    print("}  // namespace\n")
    print("absl::Span<const WebFile> WebFiles() { return kFiles; }\n")
    print("}  // namespace kartograph::service")


if __name__ == "__main__":
    main(sys.argv[1:])
