"""A fuzz target, as a test of what was found and as a program that looks for more."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")

def fuzz_target(name, deps, copts = []):
    """`name`.cc defines LLVMFuzzerTestOneInput, corpus/`name` holds its inputs.

    Makes `name`_corpus_test, which gives each input to it once and is a test like any other, and
    `name`, which libFuzzer drives; that is built with --config=fuzz alone (see CONTRIBUTING.md).

    Args:
      name: ends in _fuzz.
      deps: what it tests. Nothing more: everything is built again for it.
      copts: for the source.
    """
    corpus = native.glob(["corpus/" + name + "/*"])
    cc_test(
        name = name + "_corpus_test",
        size = "small",
        srcs = [
            name + ".cc",
            "replay_main.cc",
        ],
        args = [native.package_name() + "/corpus/" + name],
        copts = copts,
        data = corpus,
        deps = deps,
    )
    cc_binary(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        copts = copts,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
    )
