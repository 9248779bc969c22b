"""Where each dependency is found: Debian package, headers that prove it is there, libraries to link.

This table is the one place that says so. Each entry becomes an external repository with one
cc_library, `@NAME//:NAME`. The headers are in the compiler's default search path, so a library
only carries its link options and what it needs of the others.
"""

_ABSL_LIBRARIES = [
    "absl_status",
    "absl_statusor",
    "absl_cord",
    "absl_cordz_info",
    "absl_cord_internal",
    "absl_cordz_functions",
    "absl_cordz_handle",
    "absl_random_distributions",
    "absl_random_seed_sequences",
    "absl_random_internal_pool_urbg",
    "absl_random_internal_randen",
    "absl_random_internal_randen_hwaes",
    "absl_random_internal_randen_hwaes_impl",
    "absl_random_internal_randen_slow",
    "absl_random_internal_platform",
    "absl_random_internal_seed_material",
    "absl_random_seed_gen_exception",
    "absl_raw_hash_set",
    "absl_hashtablez_sampler",
    "absl_hash",
    "absl_city",
    "absl_low_level_hash",
    "absl_str_format_internal",
    "absl_synchronization",
    "absl_graphcycles_internal",
    "absl_time",
    "absl_time_zone",
    "absl_civil_time",
    "absl_strings",
    "absl_strings_internal",
    "absl_int128",
    "absl_stacktrace",
    "absl_symbolize",
    "absl_debugging_internal",
    "absl_demangle_internal",
    "absl_malloc_internal",
    "absl_exponential_biased",
    "absl_bad_optional_access",
    "absl_bad_variant_access",
    "absl_strerror",
    "absl_spinlock_wait",
    "absl_base",
    "absl_throw_delegate",
    "absl_raw_logging_internal",
    "absl_log_severity",
]

# name: (Debian package, one of its headers, libraries, other entries it needs)
PACKAGES = {
    "absl": ("libabsl-dev", "absl/status/statusor.h", _ABSL_LIBRARIES, []),
    "protobuf": ("libprotobuf-dev", "google/protobuf/message.h", ["protobuf"], []),
    "grpc": ("libgrpc++-dev", "grpcpp/grpcpp.h", ["grpc++_reflection", "grpc++", "grpc", "gpr"], ["absl", "protobuf"]),
    "boost": ("libboost1.81-dev", "boost/graph/compressed_sparse_row_graph.hpp", [], []),
    "boost_url": ("libboost-url1.81-dev", "boost/url.hpp", ["boost_url"], ["boost"]),
    "openssl": ("libssl-dev", "openssl/ssl.h", ["ssl", "crypto"], []),
    "zookeeper": ("libzookeeper-mt-dev", "zookeeper/zookeeper.h", ["zookeeper_mt"], []),
    "re2": ("libre2-dev", "re2/re2.h", ["re2"], []),
    "sqlite": ("libsqlite3-dev", "sqlite3.h", ["sqlite3"], []),
    "libyaml": ("libyaml-dev", "yaml.h", ["yaml"], []),
    "cli11": ("libcli11-dev", "CLI/CLI.hpp", [], []),
    "spdlog": ("libspdlog-dev", "spdlog/spdlog.h", ["spdlog", "fmt"], []),
    "gtest": ("libgmock-dev", "gmock/gmock.h", ["gmock", "gtest"], []),
    "gtest_main": ("libgtest-dev", "gtest/gtest.h", ["gmock_main", "gmock", "gtest"], []),
    "benchmark": ("libbenchmark-dev", "benchmark/benchmark.h", ["benchmark"], []),
}

def _debian_package_impl(ctx):
    header = "/usr/include/" + ctx.attr.header
    if not ctx.path(header).exists:
        fail("%s is missing: install Debian's package %s (./test does that)" % (header, ctx.attr.package))
    ctx.file("BUILD.bazel", """\
# {package}
cc_library(
    name = "{name}",
    defines = {defines},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
    deps = {deps},
)
""".format(
        package = ctx.attr.package,
        name = ctx.name,
        defines = repr(ctx.attr.macros),
        linkopts = repr(["-l" + library for library in ctx.attr.libraries] + ["-lpthread"]),
        deps = repr(["@%s//:%s" % (name, name) for name in ctx.attr.needs]),
    ))

_debian_package = repository_rule(
    implementation = _debian_package_impl,
    attrs = {
        "package": attr.string(mandatory = True),
        "header": attr.string(mandatory = True),
        "libraries": attr.string_list(),
        "macros": attr.string_list(),
        "needs": attr.string_list(),
    },
    local = True,
)

# What the headers must know of the libraries: Debian builds spdlog as a shared library upon its own
# fmt; ZooKeeper's has calls that wait, as it has threads.
_MACROS = {
    "spdlog": ["SPDLOG_COMPILED_LIB", "SPDLOG_SHARED_LIB", "SPDLOG_FMT_EXTERNAL"],
    "zookeeper": ["THREADED"],
}

# What Debian's static libraries need of others that the shared ones bring along themselves. gRPC's
# is a group, searched until nothing new is found, as these need each other.
_BEHIND_GRPC = ["address_sorting", "cares", "crypto", "re2", "ssl", "upb", "z"]

# Debian has these only as shared libraries: third_party/portable/spdlog.cc stands in for them.
_SHARED_ONLY = ["spdlog", "fmt"]

def _static_libraries_impl(ctx):
    compiler = ctx.execute(["gcc", "-print-file-name=libstdc++.a"])
    if compiler.return_code:
        fail("gcc does not work here: " + compiler.stderr)
    found = {"stdc++": compiler.stdout.strip()}
    for name in ctx.attr.libraries + _BEHIND_GRPC:
        path = "/usr/lib/x86_64-linux-gnu/lib%s.a" % name
        if ctx.path(path).exists:
            found[name] = path
        elif name not in _SHARED_ONLY:
            fail(path + " is missing")
    group = ["grpc", "gpr"] + _BEHIND_GRPC + _ABSL_LIBRARIES
    ctx.file("lib/libgrpc.a", "GROUP(%s)\n" % " ".join([found[name] for name in group]), False)
    for name in _SHARED_ONLY:
        ctx.file("lib/lib%s.a" % name, "!<arch>\n", False)
    for name, path in found.items():
        if name != "grpc":
            ctx.symlink(path, "lib/lib%s.a" % name)
    ctx.file("BUILD.bazel", """\
filegroup(
    name = "libraries",
    srcs = glob(["lib/*.a"]),
    visibility = ["//visibility:public"],
)
""")

# A folder lib/ of static libraries under the names that the entries above link: searched first, it
# makes a program that needs none of Debian's shared ones. C++'s own library is in it.
_static_libraries = repository_rule(
    implementation = _static_libraries_impl,
    attrs = {"libraries": attr.string_list()},
    local = True,
)

# Entries that only tests and benchmarks use.
_OF_TESTS = ["gtest", "gtest_main", "benchmark"]

def debian_packages():
    for name, (package, header, libraries, needs) in PACKAGES.items():
        _debian_package(
            name = name,
            package = package,
            header = header,
            libraries = libraries,
            macros = _MACROS.get(name, []),
            needs = needs,
        )
    _static_libraries(
        name = "static_libraries",
        libraries = [
            library
            for name, (_, _, libraries, _) in PACKAGES.items()
            if name not in _OF_TESTS
            for library in libraries
        ],
    )
