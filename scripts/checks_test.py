"""Tests of checks.py itself, and of what the lint check is to find."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import checks

GUARDED = """
#include "base/mutex.h"
class Guarded {
 public:
  int Right() { kartograph::MutexLock lock(&mutex_); return value_; }
  int Wrong() { return value_; }  // line 6
 private:
  kartograph::Mutex mutex_;
  int value_ ABSL_GUARDED_BY(mutex_) = 0;
};
int main() { return Guarded().Right() + Guarded().Wrong(); }
"""


class IncludeTest(unittest.TestCase):
    def allowed(self, path, include):
        return checks.include_problem(path, include) is None

    def test_a_file_belongs_to_the_longest_entry(self):
        self.assertEqual(checks.entry_of("executor/cluster.h"), "executor")
        self.assertEqual(checks.entry_of("executor/local/agent.h"), "executor/local")
        self.assertEqual(checks.entry_of("executor/mesos/endpoint.h"), "executor/mesos")
        self.assertEqual(checks.entry_of("executor/mesos/framework/testing/fake_agent.h"),
                         "executor/mesos/framework")
        self.assertEqual(checks.entry_of("executor/mesos/protocol/mesos.pb.h"), "executor/mesos/protocol")
        self.assertEqual(checks.entry_of("executor/other/x.h"), "executor")
        self.assertIsNone(checks.entry_of("absl/time/time.h"))

    def test_nested_folders_have_rules_of_their_own(self):
        self.assertTrue(self.allowed("executor/local/a.cc", "executor/runner/runner.h"))
        self.assertTrue(self.allowed("executor/local/a.cc", "executor/cluster.h"))
        self.assertFalse(self.allowed("executor/runner/a.cc", "executor/local/agent.h"))
        self.assertFalse(self.allowed("executor/local/a.cc", "executor/mesos/framework/framework.h"))
        self.assertTrue(self.allowed("executor/mesos/executor/a.cc", "executor/mesos/endpoint.h"))
        self.assertFalse(self.allowed("executor/mesos/endpoint.cc", "executor/mesos/framework/framework.h"))
        self.assertFalse(self.allowed("executor/mesos/framework/a.cc", "executor/runner/runner.h"))
        self.assertFalse(self.allowed("executor/cluster.h", "executor/local/agent.h"))
        self.assertFalse(self.allowed("executor/wire/a.cc", "executor/runner/runner.h"))

    def test_single_files_may_be_named(self):
        self.assertTrue(self.allowed("scheduler/core.h", "storage/history.h"))
        self.assertFalse(self.allowed("scheduler/core.h", "storage/sqlite.h"))
        self.assertTrue(self.allowed("cli/graph_check.cc", "planner/task_graph.h"))
        self.assertFalse(self.allowed("cli/graph_check.cc", "planner/packer.h"))

    def test_what_lies_below_may_be_named_as_a_whole(self):
        self.assertTrue(self.allowed("service/daemon.cc", "executor/local/local_cluster.h"))
        self.assertFalse(self.allowed("planner/packer.cc", "executor/cluster.h"))
        self.assertTrue(self.allowed("tests/mesos/master.cc", "executor/mesos/protocol/mesos.pb.h"))

    def test_tests_may_include_more(self):
        self.assertTrue(self.allowed("scheduler/engine_test.cc", "storage/sqlite.h"))
        self.assertTrue(self.allowed("scheduler/testing/story.cc", "executor/simulated/cluster.h"))
        self.assertFalse(self.allowed("scheduler/engine.cc", "executor/simulated/cluster.h"))

    def test_only_tests_include_test_doubles(self):
        self.assertFalse(self.allowed("service/daemon.cc", "service/http/testing/raw_client.h"))
        self.assertTrue(self.allowed("service/http_test.cc", "service/http/testing/raw_client.h"))
        self.assertTrue(self.allowed("bench/bench.cc", "scheduler/testing/memory_history.h"))

    def test_what_is_not_ours_is_not_judged(self):
        self.assertTrue(self.allowed("base/clock.h", "absl/time/time.h"))


class LinkTest(unittest.TestCase):
    """Links to files and to sections of documents."""

    def test_a_link_may_name_a_file_a_section_or_what_is_elsewhere(self):
        for target in ("docs/mesos.md", "docs/mesos.md#settings", "#what-it-is-for", "docs",
                       "https://example.com/#nothing"):
            self.assertIsNone(checks.link_problem("README.md", target), target)
        self.assertIsNone(checks.link_problem("docs/limits.md", "mesos.md#settings"))

    def test_a_link_that_leads_nowhere_is_found(self):
        for target in ("docs/nothing.md", "docs/mesos.md#nothing", "#nothing", "mesos.md"):
            self.assertIsNotNone(checks.link_problem("README.md", target), target)


class LintTest(unittest.TestCase):
    def findings(self, text):
        """What clang-tidy says with the flags of third_party/lint.bzl."""
        flags = re.findall(r'"([^"]*)"', re.search(r"^_FLAGS = \[(.*)\]$", checks.read("third_party/lint.bzl"),
                                                   re.MULTILINE).group(1))
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "guarded.cc"
            source.write_text(text)
            words = ["clang-tidy-14", "--quiet", f"--config-file={checks.ROOT / '.clang-tidy'}", source, "--",
                     *flags, "-iquote", "."]
            tidy = subprocess.run(words, cwd=checks.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, check=False)
            return tidy.stdout

    def test_lint_finds_what_is_read_without_its_lock(self):
        found = re.findall(r"guarded\.cc:(\d+):\d+: error: .*\[(.*?)[,\]]", self.findings(GUARDED))
        self.assertEqual(found, [("6", "clang-diagnostic-thread-safety-analysis")])


if __name__ == "__main__":
    unittest.main()
