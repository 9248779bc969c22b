"""Programs that also have to run where Debian's libraries are not."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library")

_LINKOPTS = [
    # Before the linker's own folders, and with nothing shared in it (third_party/packages.bzl).
    "-Lexternal/static_libraries/lib",
    "-static-libgcc",
    "-s",
    "-Wl,--gc-sections",
]

def cc_program(name, srcs, deps, copts = [], data = []):
    """A cc_binary, and a second one, NAME-portable, that needs nothing but glibc.

    Both link the same objects. The second is what the Python wheel carries (scripts/build_wheel.sh), and is built only
    where it is asked for.

    Args:
      name: of the program.
      srcs: its own files, headers included.
      deps: libraries.
      copts: as for cc_binary.
      data: what it starts or serves.
    """
    main = name + "-main"
    cc_library(
        name = main,
        srcs = srcs,
        copts = copts,
        visibility = ["//visibility:private"],
        deps = deps,
        linkstatic = True,
        alwayslink = True,
    )
    cc_binary(
        name = name,
        data = data,
        deps = [":" + main],
    )
    cc_binary(
        name = name + "-portable",
        additional_linker_inputs = ["@static_libraries//:libraries"],
        linkopts = _LINKOPTS,
        tags = ["manual"],
        deps = [
            ":" + main,
            "//third_party/portable:stand_ins",
        ],
    )
