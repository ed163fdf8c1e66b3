"""Cedar text read from its grammar alone: rules as plain trees, with no code of `src`.

Written from the language's documentation ("Grammar for Cedar syntax"), not from the engine that
Sojourn ships, so that the two can disagree. An expression is a tuple whose first item names it:

    ("value", Value)  ("var", name)  ("set", items)  ("record", {name: item})
    ("and" | "or", left, right)  ("if", test, then, other)  ("not", x)  ("neg", x)
    ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "+" | "-" | "*", left, right)
    ("get", x, name)  ("has", x, names)  ("like", x, pattern)  ("is", x, type, of or None)
    ("call", method, x, arguments)  ("function", name, arguments)

A value carries its type, since Python's True equals 1 and Cedar's does not: ("long", 1).
"""

import re
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ANY", "Rule", "Unreadable", "read"]

Expr = tuple[Any, ...]

ANY: Final = None
"""A pattern's wildcard; every other element of a pattern is one character."""

_LEXEME: Final = re.compile(
    r"""[\ \t\r\n]+ | //[^\r\n]*
      | (?P<string>"(?:\\.|[^"\\])*") | (?P<name>[A-Za-z_]\w*) | (?P<number>[0-9]+)
      | (?P<sign>::|==|!=|<=|>=|\|\||&&|[@.,;:(){}\[\]<>+\-*!])""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "0": "\0", "'": "'", '"': '"'}
_ESCAPE: Final = re.compile(r"\\(?:x([0-7][0-9a-fA-F])|u\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
_RELATIONS: Final = ("==", "!=", "<", "<=", ">", ">=", "in")
_UNARY_MAX: Final = 4
_LONG_MAX: Final = 2**63 - 1


class Unreadable(Exception):
    """The text is not Cedar."""


@dataclass(frozen=True)
class Rule:
    """One rule: each scope is None, or ("==" | "in" | "is", ...) as an expression has it."""

    permits: bool
    annotations: dict[str, str]
    principal: Expr | None
    action: Expr | None
    resource: Expr | None
    conditions: tuple[Expr, ...]


def read(text: str) -> list[Rule]:
    """Return the rules of a text in order; raises `Unreadable`."""
    reader = _Reader(text)
    rules = []
    while not reader.at_end():
        rules.append(reader.rule())
    return rules


def _lexemes(text: str) -> list[tuple[str, str]]:
    found, offset = [], 0
    while offset < len(text):
        match = _LEXEME.match(text, offset)
        if match is None:
            raise Unreadable(f"no token at {offset}: {text[offset : offset + 20]!r}")
        if match.lastgroup:
            found.append((match.lastgroup, match[0]))
        offset = match.end()
    return [*found, ("end", "")]


def _characters(quoted: str, *, pattern: bool) -> list[str | None]:
    """Return what a string literal spells; in a pattern a bare * is `ANY`, and \\* a star."""
    body, found, offset = quoted[1:-1], list[str | None](), 0
    while offset < len(body):
        escape = _ESCAPE.match(body, offset)
        if escape is None:
            found.append(ANY if pattern and body[offset] == "*" else body[offset])
            offset += 1
            continue
        small, wide, single = escape.groups()
        if pattern and single == "*":
            found.append("*")
        elif single and single not in _ESCAPES:
            raise Unreadable(f"no escape: {escape[0]}")
        else:
            found.append(_ESCAPES[single] if single else chr(int(small or wide, 16)))
        offset = escape.end()
    return found


def _string(quoted: str) -> str:
    return "".join(c or "" for c in _characters(quoted, pattern=False))


class _Reader:
    def __init__(self, text: str) -> None:
        self._lexemes = _lexemes(text)
        self._at = 0

    def at_end(self) -> bool:
        return self._lexemes[self._at][0] == "end"

    def _peek(self, ahead: int = 0) -> str:
        kind, text = self._lexemes[min(self._at + ahead, len(self._lexemes) - 1)]
        return "" if kind == "string" else text

    def _kind(self) -> str:
        return self._lexemes[self._at][0]

    def _next(self) -> str:
        text = self._lexemes[self._at][1]
        self._at += 1
        return text

    def _accept(self, *texts: str) -> str:
        return self._next() if self._peek() in texts else ""

    def _expect(self, text: str) -> None:
        if self._peek() != text:
            raise Unreadable(f"{text!r} is due, not {self._lexemes[self._at][1]!r}")
        self._next()

    def _take(self, kind: str) -> str:
        if self._kind() != kind:
            raise Unreadable(f"a {kind} is due, not {self._lexemes[self._at][1]!r}")
        return self._next()

    # Rules

    def rule(self) -> Rule:
        annotations = self._annotations()
        effect = self._accept("permit", "forbid")
        if not effect:
            raise Unreadable(f"a rule does not begin with {self._peek()!r}")
        self._expect("(")
        scopes = [self._scope("principal")]
        self._expect(",")
        scopes.append(self._scope("action"))
        self._expect(",")
        scopes.append(self._scope("resource"))
        self._accept(",")
        self._expect(")")
        conditions = []
        while kind := self._accept("when", "unless"):
            self._expect("{")
            body = self.expression()
            self._expect("}")
            conditions.append(body if kind == "when" else ("not", body))
        self._expect(";")
        return Rule(effect == "permit", annotations, *scopes, tuple(conditions))

    def _annotations(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while self._accept("@"):
            key = self._take("name")
            found[key] = ""
            if self._accept("("):
                found[key] = _string(self._take("string"))
                self._expect(")")
        return found

    def _scope(self, variable: str) -> Expr | None:
        self._expect(variable)
        subject = ("var", variable)
        if self._accept("=="):
            return ("==", subject, self._primary())
        if self._accept("in"):
            return ("in", subject, self._primary())
        if self._accept("is"):
            kind = self._path()
            return ("is", subject, kind, self._primary() if self._accept("in") else None)
        return None

    # Expressions, from the weakest binding to the strongest

    def expression(self) -> Expr:
        if not self._accept("if"):
            return self._disjunction()
        test = self.expression()
        self._expect("then")
        then = self.expression()
        self._expect("else")
        return ("if", test, then, self.expression())

    def _disjunction(self) -> Expr:
        left = self._conjunction()
        while self._accept("||"):
            left = ("or", left, self._conjunction())
        return left

    def _conjunction(self) -> Expr:
        left = self._relation()
        while self._accept("&&"):
            left = ("and", left, self._relation())
        return left

    def _relation(self) -> Expr:
        left = self._sum()
        if sign := self._accept(*_RELATIONS):
            return (sign, left, self._sum())
        if self._accept("has"):
            return ("has", left, self._attributes())
        if self._accept("like"):
            return ("like", left, _characters(self._take("string"), pattern=True))
        if self._accept("is"):
            kind = self._path()
            return ("is", left, kind, self._sum() if self._accept("in") else None)
        return left

    def _attributes(self) -> list[str]:
        if self._kind() == "string":
            return [_string(self._next())]
        names = [self._take("name")]
        while self._accept("."):
            names.append(self._take("name"))
        return names

    def _sum(self) -> Expr:
        left = self._product()
        while sign := self._accept("+", "-"):
            left = (sign, left, self._product())
        return left

    def _product(self) -> Expr:
        left = self._unary()
        while sign := self._accept("*"):
            left = (sign, left, self._unary())
        return left

    def _unary(self) -> Expr:
        sign, count = self._peek(), 0
        if sign not in ("!", "-"):
            return self._member()
        while self._accept(sign):
            count += 1
        if count > _UNARY_MAX:
            raise Unreadable(f"more than four {sign}")
        if sign == "-" and self._kind() == "number" and self._peek(1) not in (".", "["):
            # A minus before a number belongs to the number: so the least long can be written.
            inner: Expr = ("value", ("long", self._number(-1)))
            count -= 1
        else:
            inner = self._member()
        for _ in range(count):
            inner = ("not" if sign == "!" else "neg", inner)
        return inner

    def _number(self, sign: int) -> int:
        number = sign * int(self._take("number"))
        if not -_LONG_MAX - 1 <= number <= _LONG_MAX:
            raise Unreadable(f"{number} is no long")
        return number

    def _member(self) -> Expr:
        subject = self._primary()
        while True:
            if self._accept("["):
                subject = ("get", subject, _string(self._take("string")))
                self._expect("]")
            elif self._accept("."):
                subject = self._named_member(subject, self._take("name"))
            else:
                return subject

    def _named_member(self, subject: Expr, name: str) -> Expr:
        if self._accept("("):
            return ("call", name, subject, self._list(")"))
        return ("get", subject, name)

    def _list(self, end: str) -> list[Expr]:
        items = []
        while not self._accept(end):
            items.append(self.expression())
            if self._peek() != end:
                self._expect(",")
        return items

    def _primary(self) -> Expr:
        kind = self._kind()
        if kind == "string":
            return ("value", ("string", _string(self._next())))
        if kind == "number":
            return ("value", ("long", self._number(1)))
        if kind == "name":
            return self._named()
        if self._accept("("):
            inner = self.expression()
            self._expect(")")
            return inner
        if self._accept("["):
            return ("set", self._list("]"))
        if self._accept("{"):
            return ("record", self._fields())
        raise Unreadable(f"no expression begins with {self._peek()!r}")

    def _fields(self) -> dict[str, Expr]:
        fields: dict[str, Expr] = {}
        while not self._accept("}"):
            name = _string(self._next()) if self._kind() == "string" else self._take("name")
            self._expect(":")
            fields[name] = self.expression()
            if self._peek() != "}":
                self._expect(",")
        return fields

    def _named(self) -> Expr:
        if self._peek() in ("true", "false"):
            return ("value", ("bool", self._next() == "true"))
        if self._peek() in ("principal", "action", "resource", "context"):
            return ("var", self._next())
        path = [self._take("name")]
        while self._accept("::"):
            if self._kind() == "string":
                return ("value", ("entity", "::".join(path), _string(self._next())))
            path.append(self._take("name"))
        self._expect("(")
        return ("function", "::".join(path), self._list(")"))

    def _path(self) -> str:
        path = [self._take("name")]
        while self._accept("::"):
            path.append(self._take("name"))
        return "::".join(path)
