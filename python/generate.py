#!/usr/bin/python3
"""Writes kartograph/v1/, the code that protoc makes of the contract in ../api.

Needs Debian's protobuf-compiler and protobuf-compiler-grpc. `--output DIR` writes to another folder than this one.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
API = HERE.parent / "api"
PLUGIN = "/usr/bin/grpc_python_plugin"
PROTOS = ("kartograph/v1/task_executer.proto", "kartograph/v1/page.proto")


def generate(output: pathlib.Path) -> None:
    """Generates modules and type stubs below `output`; raises CalledProcessError where protoc does."""
    folder = output / "kartograph" / "v1"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["protoc", f"-I{API}", f"--python_out={output}", f"--pyi_out={output}", f"--grpc_out={output}",
                    f"--plugin=protoc-gen-grpc={PLUGIN}", *PROTOS], check=True)
    (folder / "__init__.py").write_text('"""Generated from the contract; see generate.py."""\n')


def is_current(output: pathlib.Path) -> bool:
    """Whether what is there is newer than the contract."""
    made = [output / name.replace(".proto", "_pb2_grpc.py") for name in PROTOS] + [
        output / "kartograph" / "v1" / "__init__.py"]
    sources = [API / name for name in PROTOS]
    return all(path.exists() for path in made) and (
        min(path.stat().st_mtime for path in made) >= max(path.stat().st_mtime for path in sources))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=HERE)
    generate(parser.parse_args().output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
