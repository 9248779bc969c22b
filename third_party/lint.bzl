"""Format and lint checks as part of the build.

`bazel build --config=lint //...` checks every C++ target: clang-format over all its files and
clang-tidy over each file it compiles (its headers come along), but for tests, where it would cost
as much again and find little. A file is checked again only when it or something it includes has
changed.

Two output groups: `lint_reports` holds one report per checked file, empty where nothing was found,
and never fails; `lint` fails where a report is not empty, and prints it.
"""

_CLANG_FORMAT = "/usr/bin/clang-format-14"
_CLANG_TIDY = "/usr/bin/clang-tidy-14"

# What the compiler gets from .bazelrc and its toolchain, in clang's words.
# -Wthread-safety checks what ABSL_GUARDED_BY and its kin say.
_FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wthread-safety", "-x", "c++"]

_SOURCES = ["cc", "cpp"]
_HEADERS = ["h"]

def _own_files(ctx, attribute, extensions):
    files = []
    for target in getattr(ctx.rule.attr, attribute, []):
        for file in target.files.to_list():
            if file.is_source and file.owner.workspace_name == "" and file.extension in extensions:
                files.append(file)
    return files

def _format(ctx, files):
    report = ctx.actions.declare_file(ctx.label.name + ".lint/format")
    ctx.actions.run_shell(
        outputs = [report],
        inputs = files + [ctx.file._clang_format],
        command = "%s --dry-run -Werror \"$@\" 2> %s || true" % (_CLANG_FORMAT, report.path),
        arguments = [file.path for file in files],
        mnemonic = "ClangFormat",
    )
    return report

# A cc_binary and a cc_test provide no CcInfo; what they compile with is that of what they need.
def _of_deps(ctx):
    return cc_common.merge_cc_infos(
        cc_infos = [dep[CcInfo] for dep in ctx.rule.attr.deps if CcInfo in dep],
    ).compilation_context

def _tidy(target, ctx, file, headers):
    compilation = target[CcInfo].compilation_context if CcInfo in target else _of_deps(ctx)
    report = ctx.actions.declare_file("%s.lint/%s.tidy" % (ctx.label.name, file.basename))

    flags = _FLAGS + [option for option in ctx.rule.attr.copts if option.startswith("-D")]
    for define in ctx.rule.attr.local_defines:
        flags.append("-D" + define)
    for define in compilation.defines.to_list():
        flags.append("-D" + define)
    flags += ["-iquote", "."]

    # Generated headers are not ours to judge: as system headers they are exempt.
    for folder in compilation.quote_includes.to_list():
        if folder != ".":
            flags += ["-isystem", folder]
    for folder in compilation.includes.to_list() + compilation.system_includes.to_list():
        flags += ["-isystem", folder]

    # clang-tidy exits with 1 for a finding and for a crash alike. What it says goes into the report
    # (only the findings, not its counts of suppressed ones); a silent failure says so itself.
    ctx.actions.run_shell(
        outputs = [report],
        inputs = depset([file, ctx.file._clang_tidy] + headers, transitive = [compilation.headers]),
        command = """
report=$1; shift
if ! %s --quiet "$@" > "$report" 2> "$report.err"; then
  [ -s "$report" ] || cat "$report.err" > "$report"
  [ -s "$report" ] || echo "clang-tidy failed and said nothing" > "$report"
fi
rm -f "$report.err"
sed -i -e "s#$PWD/##g" -e 's#^\\./##' "$report"
""" % _CLANG_TIDY,
        arguments = [report.path, file.path, "--"] + flags,
        mnemonic = "ClangTidy",
    )
    return report

def _lint_impl(target, ctx):
    if ctx.rule.kind not in ["cc_library", "cc_binary", "cc_test"] or ctx.label.workspace_name:
        return []
    sources = _own_files(ctx, "srcs", _SOURCES)
    headers = _own_files(ctx, "srcs", _HEADERS) + _own_files(ctx, "hdrs", _HEADERS)
    if not sources and not headers:
        return []
    reports = [_format(ctx, sources + headers)]
    if not ctx.rule.attr.testonly:
        reports += [_tidy(target, ctx, file, headers) for file in sources]

    verdict = ctx.actions.declare_file(ctx.label.name + ".lint/verdict")
    ctx.actions.run_shell(
        outputs = [verdict],
        inputs = reports,
        command = "out=$1; shift; cat \"$@\" > $out; [ ! -s $out ] || { cat $out; exit 1; }",
        arguments = [file.path for file in [verdict] + reports],
        mnemonic = "Lint",
        # Its output is for people; a sandbox adds lines of its own to a failure.
        execution_requirements = {"no-sandbox": "1"},
    )
    return [OutputGroupInfo(
        lint = depset([verdict]),
        lint_reports = depset(reports),
    )]

lint = aspect(
    implementation = _lint_impl,
    attrs = {
        "_clang_format": attr.label(default = "//:.clang-format", allow_single_file = True),
        "_clang_tidy": attr.label(default = "//:.clang-tidy", allow_single_file = True),
    },
)
