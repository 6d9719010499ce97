"""Runs in the Windows interpreter after the tests: says what was tested, from there."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import xml.etree.ElementTree as ElementTree


def wheel_name() -> str:
    """The file that pip installed, from its note (PEP 610)."""
    note = importlib.metadata.distribution("netsession").read_text("direct_url.json")
    return str(json.loads(note or "{}").get("url", "unknown")).rsplit("/", 1)[-1]


def count(report: str) -> tuple[dict[str, int], dict[str, str]]:
    """Results and recorded properties of one pytest run."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    results = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    properties: dict[str, str] = {}
    for suite in suites:
        for name in results:
            results[name] += int(suite.get(name, 0))
        for item in suite.iter("property"):
            properties[item.get("name", "")] = item.get("value", "")
    return results, properties


def in_words(results: dict[str, int]) -> str:
    bad = results["failures"] + results["errors"]
    passed = results["tests"] - bad - results["skipped"]
    return f"{passed} passed, {bad} failed, {results['skipped']} skipped"


def main() -> None:
    print(f"sys.version:       {sys.version}")
    print(f"wheel:             {wheel_name()}")
    compared = "not run"
    for report in sys.argv[1:]:
        results, properties = count(report)
        name = report.removesuffix(".xml")
        print(f"tests ({name}): ".ljust(19) + in_words(results))
        compared = properties.get("pywin32_comparison_cases", compared)
    print(f"pywin32 comparison: {compared} cases")


if __name__ == "__main__":
    main()
