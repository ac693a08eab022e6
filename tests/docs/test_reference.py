"""The pages made from the code are as the code is; every setting and every operation is documented."""

import asyncio
import re
from pathlib import Path

import pytest
from botocore.session import get_session

from cosset.cli import reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def served():
    return asyncio.run(reference.read_served())


def rows(text: str) -> dict[str, dict[str, str]]:
    """Operations by the title of their service: `yes`, `missing`, or `as` what they are answered as."""
    found = {}
    for part in text.split("\n## ")[1:]:
        title = part.split("\n", 1)[0]
        found[title] = dict(re.findall(r"^\| (\w+) \| (yes|missing|as \w+) \|$", part, re.MULTILINE))
    return found


def test_settings_are_up_to_date():
    assert (DOCS / "settings.md").read_text() == reference.render_settings(), "make operations"


def test_operations_are_up_to_date(served):
    page = rows((DOCS / "operations.md").read_text())
    assert set(page) == {reference.TITLES[name] for name in served}
    for name, operations in served.items():
        shown = page[reference.TITLES[name]]
        assert {each for each, word in shown.items() if word == "yes"} == operations, "make operations"
        # A newer botocore may know operations that the page does not yet; never the other way round.
        known = set(get_session().get_service_model(name).operation_names)
        assert {word.removeprefix("as ") for word in shown.values()} - {"yes", "missing"} <= operations
        assert set(shown) <= known
        assert operations <= known


def test_what_is_missing_is_shown_as_missing(served):
    text = reference.render_operations({"sts": frozenset({"GetCallerIdentity"})})
    assert "| GetCallerIdentity | yes |" in text
    assert "| GetSessionToken | missing |" in text
    text = reference.render_operations({"s3": frozenset({"GetBucketLifecycleConfiguration", "ListBuckets"})})
    assert "| GetBucketLifecycle | as GetBucketLifecycleConfiguration |" in text
    assert "| ListDirectoryBuckets | missing |" in text
    assert {"lambda", "iam", "sts", "logs", "cloudwatch", "sqs", "sns"} <= set(served)


def test_decision_records_have_a_number_of_their_own_and_are_listed():
    names = sorted(path.name for path in (DOCS / "decisions").glob("*.md") if path.name != "README.md")
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name) for name in names)
    assert len({name[:4] for name in names}) == len(names)
    listed = (DOCS / "decisions" / "README.md").read_text()
    for name in names:
        assert f"({name})" in listed, f"{name} is not in docs/decisions/README.md"
        number, title = name[:4], (DOCS / "decisions" / name).read_text().split("\n", 1)[0]
        assert re.match(rf"# {number}:? \w", title), title


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "demo").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_what_the_map_names_is_there():
    """Of files that ARCHITECTURE.md names without their folder, somewhere."""
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / "ARCHITECTURE.md").read_text()))
    there = [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"))]
    for each in named:
        assert any(f"/{path}".endswith(f"/{each}") for path in there), f"ARCHITECTURE.md names {each}"
    assert len(named) > 30


def test_every_dependency_has_a_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [each for group in project["optional-dependencies"].values() for each in group]
    reasons = (DOCS / "decisions" / "0002-dependencies.md").read_text()
    for each in wanted:
        name = re.match(r"[\w-]+", each)[0]
        assert name == "cosset" or f"| `{name}`" in reasons, f"{name} has no reason in 0002-dependencies.md"


def test_every_make_target_explains_itself():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    for target in phony:
        assert re.search(rf"^{target}:.* ## \w", makefile, re.MULTILINE), target
