"""Builds the Python wheel: the package, and the programs, which need nothing but glibc.

usage: scripts/build_wheel.sh [--out FOLDER]

  --out FOLDER     where to put kartograph-VERSION-py3-none-manylinux_2_N_x86_64.whl (default: dist);
                   other wheels of kartograph are removed from it

N is that of the oldest glibc (2.N) on which the programs run. The same sources on the same packages
give the same bytes. Needs no network once the packages are installed.
"""

import argparse
import base64
import hashlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)),
                os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python")]
from common import CACHE, ROOT, Failed, bazel, built, run_logged, tail  # noqa: E402
from generate import generate  # noqa: E402

# All in one folder, where kartographd looks for the other two.
PROGRAMS = {"kartographd": "service/kartographd-portable",
            "kartograph": "cli/kartograph-portable",
            "kartograph-local-agent": "executor/local/kartograph-local-agent-portable",
            "kartograph-executor": "executor/mesos/executor/kartograph-executor"}
# Linked into them besides what third_party/packages.txt names: those need these.
INDIRECT = ["libc-ares-dev", "libfmt-dev", "libstdc++-12-dev", "zlib1g-dev"]


def version():
    """Of the whole project; base/version.h is the place."""
    return re.search(r'kVersion\[\] = "([^"]+)"', (ROOT / "base" / "version.h").read_text())[1]


def build_programs():
    """Returns the programs' contents by name."""
    log = CACHE / "wheel.log"
    targets = ["//" + ":".join(path.rsplit("/", 1)) for path in PROGRAMS.values()]
    if run_logged(bazel("build", *targets), log):
        raise Failed(f"The programs do not build:\n{tail(log)}")
    folder = built()
    return {name: (folder / path).read_bytes() for name, path in PROGRAMS.items()}


def platform_tag(programs):
    """By PEP 600: which glibc has everything that the programs ask of it."""
    newest = (2, 17)  # older ones are not a target of anybody
    with tempfile.NamedTemporaryFile() as file:
        for content in programs.values():
            pathlib.Path(file.name).write_bytes(content)
            said = subprocess.run(["readelf", "--version-info", "--wide", file.name], check=True,
                                  capture_output=True, text=True).stdout
            newest = max([newest, *((int(major), int(minor)) for major, minor in
                                    re.findall(r"\bGLIBC_(\d+)\.(\d+)", said))])
    return f"manylinux_{newest[0]}_{newest[1]}_x86_64"


def package():
    """The Python files, generated ones included, by their place in the wheel."""
    folder = ROOT / "python"
    files = {f"kartograph/{path.name}": path.read_bytes()
             for path in (folder / "kartograph").iterdir() if path.suffix == ".py" or path.name == "py.typed"}
    with tempfile.TemporaryDirectory() as made:
        generate(pathlib.Path(made))
        for path in pathlib.Path(made).rglob("*.py*"):
            files[path.relative_to(made).as_posix()] = path.read_bytes()
    return files


def licences():
    """What the licences of the libraries in the programs ask to be passed on, by Debian package."""
    listed = (ROOT / "third_party" / "packages.txt").read_text()
    files = {}
    for name in [*re.findall(r"^(lib\S+-dev)\s+run\b", listed, re.MULTILINE), *INDIRECT]:
        path = pathlib.Path("/usr/share/doc") / name / "copyright"
        if not path.exists():
            raise Failed(f"{path} is missing, and the wheel has to include it; is dpkg set to leave out "
                         f"documentation? (apt-get install --reinstall {name})")
        content = path.read_bytes()
        if content not in files.values():  # of two packages of one source
            files[f"licenses/{name}.txt"] = content
    return files


def metadata(release):
    """METADATA, from pyproject.toml and the README beside it."""
    folder = ROOT / "python"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    lines = ["Metadata-Version: 2.1",
             f"Name: {project['name']}",
             f"Version: {release}",
             f"Summary: {project['description']}",
             "Classifier: Operating System :: POSIX :: Linux",
             "Classifier: Programming Language :: Python :: 3",
             "Classifier: Typing :: Typed",
             f"Requires-Python: {project['requires-python']}",
             *(f"Requires-Dist: {dependency}" for dependency in project["dependencies"]),
             "Description-Content-Type: text/markdown"]
    return "\n".join(lines) + "\n\n" + (folder / project["readme"]).read_text()


def record_line(name, content):
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def pack(files, record):
    """A zip file of (content, mode) by name, always the same for the same files; adds the record."""
    lines = "".join(record_line(name, content) for name, (content, _) in sorted(files.items()))
    entries = [*sorted(files.items()), (record, ((lines + f"{record},,\n").encode(), 0o644))]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for name, (content, mode) in entries:
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            wheel.writestr(entry, content)
    return out.getvalue()


def make():
    """Returns the wheel's file name and its content."""
    programs, release = build_programs(), version()
    stem, tag = f"kartograph-{release}", f"py3-none-{platform_tag(programs)}"
    info = {"METADATA": metadata(release).encode(),
            "WHEEL": ("Wheel-Version: 1.0\nGenerator: kartograph\nRoot-Is-Purelib: false\n"
                      f"Tag: {tag}\n").encode(),
            **licences()}
    files = {name: (content, 0o644) for name, content in package().items()}
    files |= {f"{stem}.dist-info/{name}": (content, 0o644) for name, content in info.items()}
    files |= {f"{stem}.data/scripts/{name}": (content, 0o755) for name, content in programs.items()}
    return f"{stem}-{tag}.whl", pack(files, f"{stem}.dist-info/RECORD")


def main(arguments):
    parser = argparse.ArgumentParser(prog="scripts/build_wheel.sh", usage="scripts/build_wheel.sh [--out FOLDER]")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "dist")
    folder = parser.parse_args(arguments).out
    name, content = make()
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.glob("kartograph-*.whl"):
        other.unlink()
    (folder / name).write_bytes(content)
    print(f"{os.path.relpath(folder / name)}: {len(content) / 1e6:.1f} MB")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Failed, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
