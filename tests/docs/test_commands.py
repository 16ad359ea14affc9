"""Each command of `keyturn` that a document shows is one, and takes the options that it is given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from keyturn.cli.root import keyturn
from tests.support.blocks import documents
from tests.support.sources import ROOT

COMMAND = re.compile(r"^(?:\$ )?(?:\S+=\S* )*(?:\S*/)?(keyturn [a-z-].*)$", re.MULTILINE)
END = re.compile(r" [|>#&].*|;.*")
EVERYWHERE = {"--help", "--version"}


def shown(document: Path) -> Iterator[str]:
    """Give the commands in a document's blocks of commands and in its sentences."""
    for token in MarkdownIt("commonmark").enable("table").parse(document.read_text("utf-8")):
        texts = [child.content for child in token.children or () if child.type == "code_inline"]
        if token.type == "fence" and token.info in {"sh", "console"}:
            texts.append(token.content.replace("\\\n", " "))
        yield from (found for text in texts for found in COMMAND.findall(text))


def unknown(command: str) -> str | None:
    """Give the first word of a command that `keyturn` would not know."""
    at: click.Command = keyturn
    for word in shlex.split(END.sub("", command))[1:]:
        if at.context_settings.get("ignore_unknown_options"):  # they are for the program behind it
            break
        if word.startswith("-") and word != "-":
            named = {option for each in at.params for option in (*each.opts, *each.secondary_opts)}
            if word.partition("=")[0] not in named | EVERYWHERE:
                return word
        elif isinstance(at, click.Group) and word != "…":
            if word not in at.commands:
                return word
            at = at.commands[word]
    return None


COMMANDS = sorted(
    (str(document.relative_to(ROOT)), command) for document in documents() for command in shown(document)
)


def test_commands_are_what_the_program_takes() -> None:
    """A command that was renamed, or an option, is renamed in every document."""
    assert len(COMMANDS) > 50
    found = [(document, command, unknown(command)) for document, command in COMMANDS]
    assert [each for each in found if each[2] is not None] == []


@pytest.mark.parametrize(
    "command", ["keyturn serv", "keyturn keys turn", "keyturn serve --demos", "keyturn -x"]
)
def test_an_unknown_command_is_seen(command: str) -> None:
    """The reader above would notice."""
    assert unknown(command)
