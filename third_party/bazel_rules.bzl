"""The rule sets that Bazel itself asks for, without a network.

Debian's own bazel-rules-cc is newer than its Bazel 4.2 can read, so `rules_cc` is a folder here that
re-exports Bazel's native rules. `remote_coverage_tools` is loaded by every test rule and never used.
"""

def bazel_rules():
    native.local_repository(
        name = "rules_cc",
        path = "third_party/rules_cc",
    )
    native.local_repository(
        name = "remote_coverage_tools",
        path = "third_party/remote_coverage_tools",
    )
    native.local_repository(
        name = "rules_java",
        path = "/usr/share/bazel/rules/java",
    )
    native.local_repository(
        name = "rules_proto",
        path = "/usr/share/bazel/rules/proto",
    )
