"""Holds what the workflows may do: zizmor's rules, and those of our releases. It runs no workflow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.sources import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
RELEASE = GITHUB / "workflows" / "release.yml"
READ_ONLY: tuple[dict[str, str], ...] = ({}, {"contents": "read"})
MORE = {  # which jobs may do more than read, and what
    "attest": {"id-token": "write", "attestations": "write"},
    "pypi": {"id-token": "write"},
    "npm": {"id-token": "write"},
    "announce": {"contents": "write"},
}
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def read(path: Path) -> dict[str, Any]:
    """Return a workflow."""
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def release() -> dict[str, Any]:
    """Return the jobs of a release."""
    jobs: dict[str, Any] = read(RELEASE)["jobs"]
    return jobs


def uses(job: dict[str, Any], action: str) -> list[dict[str, Any]]:
    """Return what a job hands to an action, each time that it uses it."""
    return [step.get("with", {}) for step in job["steps"] if step.get("uses", "").startswith(f"{action}@")]


def needs(job: str) -> set[str]:
    """Return all jobs that must have succeeded before a job of the release begins."""
    direct = release()[job].get("needs", [])
    names = {direct} if isinstance(direct, str) else set(direct)
    return names.union(*map(needs, names))


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool that checks workflows; it asks no network."""
    command = [Path(sys.executable).with_name(tool), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    """Ask zizmor for all that it would say to an auditor."""
    return run("zizmor", "--offline", "--no-config", "--persona", "auditor", "--format", "plain", path)


def test_zizmor_finds_nothing() -> None:
    """Nothing unpinned, no permission too many, no credentials that stay, no input that becomes a script."""
    checked = zizmor(GITHUB)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("unpinned-uses", "checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "checkout@v7"),
        ("unpinned-images", re.compile(r"slim@sha256:\w+"), "slim"),
        ("artipacked", "persist-credentials: false", "persist-credentials: true"),
        ("excessive-permissions", "permissions: {}", "permissions: write-all"),
        ("dangerous-triggers", "  pull_request:", "  pull_request_target:"),
        ("template-injection", "run: .ci/run", "run: .ci/run ${{ github.head_ref }}"),
    ],
)
def test_zizmor_would_find_it(tmp_path: Path, rule: str, good: str | re.Pattern[str], bad: str) -> None:
    """The rules that the workflows are trusted to be held to are held."""
    text = (GITHUB / "workflows" / "ci.yml").read_text("utf-8")
    planted = re.sub(good if isinstance(good, re.Pattern) else re.escape(good), bad, text)
    assert planted != text
    workflow = tmp_path / ".github" / "workflows" / "ci.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(planted, encoding="utf-8")
    checked = zizmor(workflow)
    assert checked.returncode != 0
    assert rule in checked.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_one(path: Path) -> None:
    """Each key is one that GitHub knows, with a value that it takes."""
    checked = run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_action_is_pinned_and_says_its_version(path: Path) -> None:
    """A person reads the version, the runner the commit; Dependabot moves both together."""
    used = [
        line.strip().removeprefix("- ") for line in path.read_text("utf-8").splitlines() if "uses:" in line
    ]
    assert used
    assert [line for line in used if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read(path: Path) -> None:
    """Nothing is allowed but what a job names; beyond reading, the jobs that publish name one thing each."""
    workflow = read(path)
    assert workflow["permissions"] == {}
    more = {
        name: job["permissions"]
        for name, job in workflow["jobs"].items()
        if job["permissions"] not in READ_ONLY
    }
    assert more == (MORE if path == RELEASE else {})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_the_whole_check(path: Path) -> None:
    """What people run and what the workflows run is one thing."""
    runs = [step.get("run") for job in read(path)["jobs"].values() for step in job["steps"]]
    assert runs.count(".ci/run") == 1


def test_what_is_published_has_been_tested() -> None:
    """Nothing is attested or published before the whole check, both packages' suites and installations."""
    for job in MORE:
        assert {"build", "test", "install"} <= needs(job)
    assert needs("announce") >= {"attest", "pypi", "npm"}
    test = release()["test"]
    commands = [step.get("run", "") for step in test["steps"] if "dev.py" in step.get("run", "")]
    client, wheel = commands  # in this order: the wheel's suite has browsers run the client that lies there
    assert client.startswith('KEYTURN_TARBALL=$(echo "$PWD"/dist/*.tgz)\nexport KEYTURN_TARBALL\n')
    assert client.endswith("python3 dev.py js\n")
    assert wheel.startswith("python3 dev.py wheel --built dist/*.whl")
    assert uses(test, "actions/download-artifact") == [
        {"name": "python", "path": "dist/"},
        {"name": "npm", "path": "dist/"},
    ]


def test_what_is_published_is_what_was_built() -> None:
    """One job builds; those that sign or publish have no source, and so nothing to build from."""
    jobs = release()
    built = {upload["name"]: upload["path"] for upload in uses(jobs["build"], "actions/upload-artifact")}
    assert built == {"python": "dist/python/", "npm": "dist/npm/", "notes": "dist/notes/"}
    for job in MORE:
        assert uses(jobs[job], "actions/checkout") == []
        assert len(uses(jobs[job], "actions/download-artifact")) == 1
    assert uses(jobs["pypi"], "actions/download-artifact") == [{"name": "python", "path": "dist/"}]
    assert uses(jobs["npm"], "actions/download-artifact") == [{"name": "npm", "path": "dist/"}]
    assert uses(jobs["attest"], "actions/attest")[0]["subject-path"].split() == [
        "dist/python/*",
        "dist/npm/*",
    ]


def test_a_release_has_no_secret_and_no_cache() -> None:
    """Trusted publishing needs no token, with attestations; what another run has left behind is not used."""
    text = RELEASE.read_text("utf-8")
    assert "secrets." not in text
    assert "actions/cache" not in text
    jobs = release()
    assert (jobs["pypi"]["environment"], jobs["npm"]["environment"]) == ("pypi", "npm")
    assert uses(jobs["pypi"], "pypa/gh-action-pypi-publish") == [
        {"packages-dir": "dist/", "attestations": True}
    ]
    assert jobs["npm"]["steps"][-1]["run"] == "npm publish ./dist/*.tgz --provenance --access public"
    for options in uses(jobs["build"], "actions/setup-node") + uses(jobs["npm"], "actions/setup-node"):
        assert options == {"node-version": "24", "package-manager-cache": False}


def test_what_builds_is_pinned() -> None:
    """Each package that a release is built with is one file, and our build system is among them."""
    lines = (GITHUB / "build-requirements.txt").read_text("utf-8").splitlines()[1:]
    assert [
        line for line in lines if not re.fullmatch(r"[\w-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}", line)
    ] == []
    assert {"build", "hatchling", "hatch-fancy-pypi-readme"} <= {line.partition("==")[0] for line in lines}
