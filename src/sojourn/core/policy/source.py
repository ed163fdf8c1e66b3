"""The text of a policy document, cut into rules, with lines and columns.

Cedar's Python binding reports errors without a place, and its parser, handed brackets or chains
nested some 600 deep, overflows the stack and takes the process down with it. Policy texts come from
outside. So this scanner reads the text first, with Cedar's own lexical grammar, and lets nothing
through that

- holds characters that make a text read differently from what it does (control and invisible ones);
- is not made of Cedar's tokens, or has unbalanced brackets, or a last rule without its ";";
- nests deeper than `NESTING_DEPTH_MAX`.

Source: Cedar's grammar (whitespace, comments, literals); "Trojan Source" (Boucher, Anderson 2021).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import NESTING_DEPTH_MAX

__all__ = ["RULES_MAX", "TEXT_LENGTH_MAX", "Source", "Statement", "Token", "depth_of"]

TEXT_LENGTH_MAX: Final = 65_536
"""Characters of one policy document, as in `encoding.Text`."""
RULES_MAX: Final = 256
"""Rules of one policy document, and of all documents of one party."""

_DECEPTIVE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab and line ends
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # invisible, or turning the direction
    "\ud800-\udfff]"  # surrogates
)
# Comments end at a carriage return too: what Cedar reads as code must not be a comment to us.
_LEXEME: Final = re.compile(
    r"""(?P<skip>[ \t\r\n]+|//[^\r\n]*)
      | (?P<token>"(?:\\.|[^"\\])*" | [A-Za-z_][A-Za-z0-9_]* | [0-9]+ | \?[A-Za-z_][A-Za-z0-9_]*
                | :: | == | != | <= | >= | \|\| | && | [@.,;:(){}\[\]<>+\-*%!=] | /(?!\*))""",
    re.VERBOSE,
)
_CLOSES: Final = {"(": ")", "[": "]", "{": "}"}
_BINARY: Final = frozenset(
    ["||", "&&", "==", "!=", "<", "<=", ">", ">=", "=", "+", "-", "*", "/", "%"]
) | {"in", "has", "like", "is", "if", "then", "else"}
_CHAINED: Final = frozenset([".", "!", *_CLOSES])


class Token(NamedTuple):
    """One lexeme, and where it starts in the document (a count of characters)."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule of a document: its tokens, from the first annotation to the ";"."""

    tokens: tuple[Token, ...]

    @property
    def offset(self) -> int:
        """Where the rule starts, annotations included."""
        return self.tokens[0].offset

    def line(self) -> str:
        """Return the rule on one line, without annotations, comments and the closing ";"."""
        tokens = self.tokens[self._annotations_end() : -1]
        ends = [token.offset + len(token.text) for token in tokens]
        gaps = [0, *(t.offset - end for t, end in zip(tokens[1:], ends, strict=False))]
        return "".join(" " * (gap > 0) + t.text for t, gap in zip(tokens, gaps, strict=True))

    def find(self, text: str) -> int | None:
        """Return the offset of the first place whose tokens spell `text`, if there is one."""
        for start, token in enumerate(self.tokens):
            if text.startswith(token.text) and self._spells(text, start):
                return token.offset
        return None

    def _spells(self, text: str, start: int) -> bool:
        spelled = ""
        for token in self.tokens[start:]:
            spelled += token.text
            if len(spelled) >= len(text) or not text.startswith(spelled):
                break
        return spelled == text

    def _annotations_end(self) -> int:
        index = 0
        while self.tokens[index].text == "@":
            index += 2
            if self.tokens[index].text == "(":
                index += 3
        return index


class Source:
    """A policy document's text, scanned: its `statements` in order.

    Raises `Misused` with line and column if the text breaks one of this module's rules.
    """

    def __init__(self, text: str, *, name: str) -> None:
        self.name = name
        self.text = text
        if len(text) > TEXT_LENGTH_MAX:
            problem = f"{len(text)} characters, more than the limit of {TEXT_LENGTH_MAX}"
            raise self.misused(0, problem, remedy="Split the document")
        if deceptive := _DECEPTIVE.search(text):
            problem = f"the character U+{ord(deceptive.group()):04X} hides how the text reads"
            raise self.misused(deceptive.start(), problem, remedy="Remove it, or escape it")
        self.statements = tuple(self._statements())
        if len(self.statements) > RULES_MAX:
            problem = f"{len(self.statements)} rules, more than the limit of {RULES_MAX}"
            raise self.misused(0, problem, remedy="Join rules by sets of values")

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and the column, both counted from 1, of an offset."""
        before = self.text[:offset]
        return before.count("\n") + 1, offset - before.rfind("\n")

    def misused(self, offset: int, problem: str, *, remedy: str) -> Misused:
        """Return the error for a problem at an offset, as "document:line:column: problem"."""
        line, column = self.place(offset)
        return Misused(f"{self.name}:{line}:{column}: {problem}", remedy=remedy)

    def cut(self, statement: Statement, count: int | None = None) -> str:
        """Return the text of a rule, or of its first `count` tokens with the brackets closed."""
        tokens = statement.tokens[:count]
        end = tokens[-1].offset + len(tokens[-1].text)
        closing = "" if count is None else _closing(tokens) + ";"
        return self.text[statement.offset : end] + closing

    def _tokens(self) -> Iterator[Token]:
        offset = 0
        while offset < len(self.text):
            lexeme = _LEXEME.match(self.text, offset)
            if lexeme is None:
                raise self._not_a_token(offset)
            if lexeme["token"]:
                yield Token(lexeme["token"], offset)
            offset = lexeme.end()

    def _not_a_token(self, offset: int) -> Misused:
        if self.text[offset] == '"':
            return self.misused(offset, "this string never ends", remedy='Close it with "')
        if self.text.startswith("/*", offset):
            return self.misused(offset, "Cedar has no /* comments */", remedy="Write // instead")
        problem = f"{self.text[offset]!r} means nothing in Cedar outside a string"
        return self.misused(offset, problem, remedy="Remove it, or put it into a string")

    def _statements(self) -> Iterator[Statement]:
        pending: list[Token] = []
        unclosed: list[Token] = []
        for token in self._tokens():
            pending.append(token)
            if token.text in _CLOSES:
                unclosed.append(token)
            elif token.text in _CLOSES.values():
                self._check_closing(token, unclosed.pop() if unclosed else None)
            elif token.text == ";":
                self._check_nothing_open(unclosed)
                yield self._statement(pending)
                pending = []
        self._check_nothing_open(unclosed)
        if pending:
            remedy = 'End every rule with ";"'
            raise self.misused(
                pending[-1].offset, "the last rule ends here without ;", remedy=remedy
            )

    def _check_closing(self, closing: Token, opening: Token | None) -> None:
        if opening is None or _CLOSES[opening.text] != closing.text:
            expected = f" where {_CLOSES[opening.text]} is due" if opening else ""
            problem = f"unexpected {closing.text}{expected}"
            raise self.misused(closing.offset, problem, remedy="Balance the brackets")

    def _check_nothing_open(self, unclosed: list[Token]) -> None:
        if unclosed:
            opening = unclosed[-1]
            problem = f"this {opening.text} is never closed"
            raise self.misused(opening.offset, problem, remedy=f"Add {_CLOSES[opening.text]}")

    def _statement(self, tokens: list[Token]) -> Statement:
        if len(tokens) == 1:
            raise self.misused(tokens[0].offset, "this ; ends no rule", remedy="Remove it")
        depth = _nesting(token.text for token in tokens)
        if depth > NESTING_DEPTH_MAX:
            problem = f"this rule nests {depth} deep, more than the limit of {NESTING_DEPTH_MAX}"
            remedy = "Use sets (containsAny, in [...]) or several rules instead of long chains"
            raise self.misused(tokens[0].offset, problem, remedy=remedy)
        return Statement(tuple(tokens))


def depth_of(text: str) -> int:
    """Return an upper bound of the depth of a text's syntax trees, whatever the text is."""
    levels, deepest = [_Level()], 0
    for match in _LEXEME.finditer(text):
        lexeme = match["token"]
        if lexeme == ";":
            levels = [_Level()]
        elif lexeme:
            _measure(levels, lexeme)
            deepest = max(deepest, sum(each.depth_so_far() for each in levels))
    return deepest


def _closing(tokens: Iterable[Token]) -> str:
    """Return the brackets that close those which `tokens` leave open."""
    closing: list[str] = []
    for token in tokens:
        if token.text in _CLOSES:
            closing.append(_CLOSES[token.text])
        elif closing and token.text == closing[-1]:
            closing.pop()
    return "".join(reversed(closing))


@dataclass(slots=True)
class _Level:
    """What stands between one pair of brackets, measured as far as it has been read.

    An operand's tree is as deep as its chain of accesses plus its deepest bracket; an element's
    (what commas separate) as deep as its binary operators are many plus its deepest operand.
    """

    chain: int = 0
    bracket: int = 0
    operand: int = 0
    operators: int = 0
    element: int = 0

    def end_operand(self) -> None:
        self.operand = max(self.operand, self.chain + self.bracket)
        self.chain = self.bracket = 0

    def end_element(self) -> None:
        self.end_operand()
        self.element = max(self.element, self.operators + self.operand)
        self.operators = self.operand = 0

    def depth(self) -> int:
        self.end_element()
        return self.element

    def depth_so_far(self) -> int:
        return max(self.element, self.operators + max(self.operand, self.chain + self.bracket))


def _nesting(tokens: Iterable[str]) -> int:
    """Return an upper bound of the depth of the syntax tree of tokens whose brackets balance."""
    levels = [_Level()]
    for text in tokens:
        _measure(levels, text)
    return levels[0].depth()


def _measure(levels: list[_Level], text: str) -> None:
    """Read one more token; `levels` are those of the brackets open around it."""
    level = levels[-1]
    if text in _CHAINED:
        level.chain += 1
    if text in _CLOSES:
        levels.append(_Level())
    elif text in _CLOSES.values():
        if len(levels) > 1:
            depth = levels.pop().depth()
            levels[-1].bracket = max(levels[-1].bracket, depth)
    elif text in _BINARY:
        level.end_operand()
        level.operators += 1
    elif text == ",":
        level.end_element()
