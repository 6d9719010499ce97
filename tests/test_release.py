"""What is said of releases, compared with what makes them: docs/releasing.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(
    not (ROOT / "tools" / "release").exists(), reason="needs the source tree"
)

sys.path += [str(ROOT / "tools" / name) for name in ("release", "docs")]


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


# --- wheels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["linux", "macos", "windows"])
def test_the_readme_lists_what_cibuildwheel_would_build(platform: str) -> None:
    if os.environ.get("NETSESSION_REQUIRE_RELEASE") != "1" and not find_spec("cibuildwheel"):
        pytest.skip("cibuildwheel is not installed: make lint-workflows")
    import wheel_list

    belongs = {"linux": r"-(manylinux|musllinux)_", "macos": "-macosx_", "windows": "-win"}
    listed = wheel_list.listed(README.read_text(encoding="utf-8"))
    asked_for = set(wheel_list.asked_for(platform))
    assert {name for name in listed if re.search(belongs[platform], name)} == asked_for
    assert len(listed) == 63


@pytest.mark.parametrize(
    ("wheel", "identifier"),
    [
        (
            "n-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014.whl",
            "cp311-manylinux_x86_64",
        ),
        ("n-1-cp314-cp314t-musllinux_1_2_aarch64.whl", "cp314t-musllinux_aarch64"),
        ("n-1-cp315-cp315-macosx_11_0_arm64.whl", "cp315-macosx_arm64"),
        ("n-1-cp313-cp313-win32.whl", "cp313-win32"),
        ("n-1-cp313-cp313-manylinux2014_x86_64.whl", "cp313-manylinux_x86_64"),
    ],
)
def test_the_identifier_of_a_wheel(wheel: str, identifier: str) -> None:
    import wheel_list

    assert wheel_list.identifier(wheel) == identifier


def test_every_job_of_the_workflow_is_in_the_list() -> None:
    """The matrix of wheels.yml has each machine that pyproject.toml asks for, once."""
    workflow = (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"  wheels:\n.*?include:\n(.*?)    runs-on", workflow, re.DOTALL)
    jobs = re.findall(r"os: (\w+)-.*?archs: (\w+)", matrix)
    asked = _project()["tool"]["cibuildwheel"]
    runners = {"ubuntu": "linux", "macos": "macos", "windows": "windows"}
    assert sorted((runners[os_name], arch) for os_name, arch in jobs) == sorted(
        (name, arch) for name in runners.values() for arch in asked[name]["archs"]
    )


def test_actions_are_pinned_by_hash() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: (.+)", workflow.read_text(encoding="utf-8")):
            if not action.startswith("./"):
                assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


# --- what people read -----------------------------------------------------------------------------


def test_the_readme_s_links_work_on_pypi() -> None:
    import links

    found = list(links.links(README))
    assert len(found) > 5
    assert [link for link in found if not re.match(r"https://|#", link)] == []
    assert links.wrong(README) == []  # files are named as they are in this repository
    source = _project()["project"]["urls"]["Source"]
    assert any(link.startswith(f"{source}/blob/main/") for link in found)


def test_the_readme_s_short_links_have_targets() -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    defined = set(re.findall(r"^\[([^]]+)\]: ", text, re.MULTILINE))
    used = set(re.findall(r"\[([\w./ -]+)\](?![(\[:])", text)) | set(
        re.findall(r"\]\[([^]]+)\]", text)
    )
    assert used == defined


def test_extras_are_named_with_what_they_need() -> None:
    text = README.read_text(encoding="utf-8")
    assert "gcc python3-dev libkrb5-dev" in text
    assert "`[kerberos]` is not in `[all]`" in text
    extras = _project()["project"]["optional-dependencies"]
    assert extras["all"] == ["netsession[smb,cli]"]
    assert [extra for extra in extras if f"pip install 'netsession[{extra}]'" not in text] == []


def test_fragments_of_the_changelog_have_a_kind() -> None:
    kinds = {kind["directory"] for kind in _project()["tool"]["towncrier"]["type"]}
    for file in (ROOT / "changelog.d").iterdir():
        if file.name != "README.md":
            assert re.fullmatch(rf"\+[a-z0-9-]+\.({'|'.join(kinds)})\.md", file.name)
            assert file.read_text(encoding="utf-8").strip(), file


# --- what developers use --------------------------------------------------------------------------


def test_pre_commit_has_the_versions_of_make_lint() -> None:
    group = [line for line in _project()["dependency-groups"]["lint"] if isinstance(line, str)]
    pinned = {line for line in group if line.startswith(("ruff==", "mypy==", "clang-format=="))}
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r'"([a-z-]+==[^"]+)"', text)) == pinned
    assert len(pinned) == 3


@pytest.mark.skipif(sys.platform == "win32" or not which("make"), reason="no make")
def test_make_help_has_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    named = dict(line.split(maxsplit=1) for line in told.splitlines())
    assert named.keys() == set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert named.keys() == set(phony.replace("\\\n", " ").split())
