"""The audit over the planted examples: each is found where it is, and the harmless ones stay quiet."""

import json
import subprocess
import sys

import pytest

PLANTED = [
    ("pdf-tools-pro", "download-and-run", "high", "SKILL.md"),
    ("pdf-tools-pro", "download-and-run", "medium", "SKILL.md"),
    ("price-alerts", "encoded-payload", "high", "setup.sh"),
    ("session-sync", "secret-access", "high", "scripts/sync.py"),
    ("session-sync", "exfiltration", "high", "scripts/sync.py"),
    ("style-guide", "invisible-text", "high", "SKILL.md"),
    ("style-guide", "invisible-text", "high", "check.py"),
    ("style-guide", "hidden-instruction", "high", "SKILL.md"),
    ("commit-helper", "download-and-run", "high", "SKILL.md"),
    ("commit-helper", "broad-tools", "medium", "SKILL.md"),
    ("commit-helper", "command-expansion", "info", "SKILL.md"),
    ("commit-helper", "specification", "low", "SKILL.md"),
    ("memory-keeper", "agent-config", "high", "scripts/remember.sh"),
    ("memory-keeper", "agent-config", "medium", "scripts/remember.sh"),
    ("meeting-notes", "specification", "low", "SKILL.md"),
    ("research-pack/skills/page-fetcher", "undeclared-network", "medium", "scripts/fetch.py"),
    ("research-pack/skills/page-fetcher", "undeclared-env", "medium", "scripts/fetch.py"),
]


@pytest.mark.parametrize(("skill", "rule", "severity", "file"), PLANTED)
def test_planted_example_is_found(skill_audit, downloaded, skill, rule, severity, file):
    findings = skill_audit.audit(None, str(downloaded / skill))["findings"]
    assert (rule, severity, file) in {(found["rule"], found["severity"], found["file"]) for found in findings}


@pytest.mark.parametrize("skill", ["word-counter", "meeting-notes", "research-pack"])
def test_harmless_example_has_nothing_above_low(skill_audit, downloaded, skill):
    counts = skill_audit.audit(None, str(downloaded / skill))["counts"]
    assert (counts["high"], counts["medium"]) == (0, 0)


def test_high_findings_are_only_those_that_were_planted(skill_audit, downloaded):
    found = skill_audit.find([str(downloaded)])["skills"]
    high = {
        (folder.rsplit("/", 1)[-1], finding["rule"])
        for folder in found
        for finding in skill_audit.audit(None, folder)["findings"]
        if finding["severity"] == "high"
    }
    assert high == {(skill, rule) for skill, rule, severity, _ in PLANTED if severity == "high"}


def test_bundled_skills_have_nothing_above_info(skill_audit, skills_folder):
    results = [skill_audit.audit(None, folder) for folder in skill_audit.find([str(skills_folder)])["skills"]]
    assert len(results) >= 9
    assert [found for result in results for found in result["findings"] if found["severity"] != "info"] == []


def test_skill_inside_a_skill_is_audited_by_a_call_of_its_own(skill_audit, downloaded):
    class Recorded:
        """A host that runs each call directly; one of them fails."""

        def __init__(self):
            self.skills = self.skill_audit = self.audit = self
            self.calls = []

        def map(self, items):
            self.calls += items
            return [skill_audit.audit(self, item["folder"]) for item in items]

    host = Recorded()
    folder = downloaded / "research-pack"
    result = skill_audit.audit(host, str(folder))
    assert host.calls == [{"folder": (folder / "skills" / "page-fetcher").as_posix()}]
    assert [inner["skill"] for inner in result["nested"]] == ["page-fetcher"]
    assert result["findings"] == []


def test_failed_call_for_a_nested_skill_is_reported_and_spoils_nothing(skill_audit, downloaded):
    class Failure:
        def __bool__(self):
            return False

        def __str__(self):
            return "the worker was lost"

    class Host:
        def __init__(self):
            self.skills = self.skill_audit = self.audit = self

        def map(self, items):
            return [Failure() for _ in items]

    result = skill_audit.audit(Host(), str(downloaded / "research-pack"))
    assert result["nested"] == []
    assert [item["why"] for item in result["not_audited"]] == ["the worker was lost"]


def test_report_holds_every_skill_and_no_markup_of_theirs(skill_audit, downloaded):
    results = [skill_audit.audit(None, folder) for folder in skill_audit.find([str(downloaded)])["skills"]]
    results[0]["skill"] = "x](http://evil.invalid) | <b>"
    page = skill_audit.render(results)
    assert page["n_skills"] == 10
    assert page["counts"]["high"] == sum(result["counts"]["high"] for result in results)
    assert r"x\](http://evil.invalid) \| \<b\>" in page["markdown"]


def test_program_prints_json_and_fails_on_the_asked_severity(skills_folder, downloaded):
    program = [sys.executable, "-B", str(skills_folder / "skill-audit" / "skill_audit.py")]
    bad = subprocess.run([*program, str(downloaded)], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["n_skills"] == 10
    good = subprocess.run(
        [*program, str(downloaded / "word-counter")], capture_output=True, text=True, check=False
    )
    assert good.returncode == 0
    none = subprocess.run(
        [*program, str(downloaded / "nowhere")], capture_output=True, text=True, check=False
    )
    assert (none.returncode, none.stdout) == (2, "")
