"""Policy texts, scanned before Cedar sees them."""

import contextlib
from dataclasses import fields, is_dataclass
from typing import Any

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import NESTING_DEPTH_MAX
from sojourn.core.policy.source import RULES_MAX, TEXT_LENGTH_MAX, Source, _nesting
from tests.unit.core.policy.samples import marked

HEAD = "permit (principal, action, resource)"


def _source(text: str) -> Source:
    return Source(text, name="d")


def test_rules_are_told_apart() -> None:
    source = _source(
        f'// ";" {{\n@id("a;b")\n{HEAD};\r\n  forbid(principal,action,resource);// end'
    )
    assert [(2, 1), (4, 3)] == [source.place(rule.offset) for rule in source.statements]
    assert [HEAD, "forbid(principal,action,resource)"] == [r.line() for r in source.statements]


def test_a_rule_is_shown_on_one_line_without_annotations_and_comments() -> None:
    text = f'@id("x")\n@permit\n{HEAD}\n// why\nwhen {{\n\t"a  b" ==   context.step }};'
    (rule,) = _source(text).statements
    assert HEAD + ' when { "a  b" == context.step }' == rule.line()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("permit (principal, action, resource^)", "the last rule ends here without ;"),
        (f"{HEAD};\n^;", "this ; ends no rule"),
        (f"{HEAD} when {{ (true ^}};", "unexpected } where ) is due"),
        (f"{HEAD} when {{ true }} ^}};", "unexpected }"),
        (f"{HEAD} when ^{{ true ;", "this { is never closed"),
        ("permit ^(", "this ( is never closed"),
        (f'{HEAD}\nwhen {{ ^"abc }};', "this string never ends"),
        (f"{HEAD} when {{ ^§ }};", "'§' means nothing in Cedar outside a string"),
        (f"^/* old */ {HEAD};", "Cedar has no /* comments */"),
        (f"// ^{chr(0x202E)}\n{HEAD};", "the character U+202E hides how the text reads"),
        (f'{HEAD} when {{ "^{chr(0x1B)}" == "" }};', "the character U+001B hides"),
        (f"{HEAD};^{chr(0xFEFF)}", "the character U+FEFF hides"),
        (f"{HEAD}; // ^{chr(0xD800)}", "the character U+D800 hides"),
    ],
)
def test_what_is_not_cedars_is_refused_with_its_place(text: str, problem: str) -> None:
    text, place = marked(text)
    with pytest.raises(Misused) as refused:
        _source(text)
    assert f"d:{place}: {problem}" == refused.value.problem[: len(f"d:{place}: {problem}")]
    assert refused.value.remedy


def test_a_comment_ends_at_a_carriage_return_as_it_does_for_cedar() -> None:
    text = f"// harmless\r{HEAD};"
    assert 1 == len(_source(text).statements) == len(cedarpy.PolicySet.from_str(text))


def test_sizes_are_limited() -> None:
    _source("//" + "x" * (TEXT_LENGTH_MAX - 2))
    with pytest.raises(Misused, match="65537 characters, more than the limit of 65536"):
        _source("//" + "x" * (TEXT_LENGTH_MAX - 1))
    assert RULES_MAX == len(_source(f"{HEAD};" * RULES_MAX).statements)
    with pytest.raises(Misused, match="257 rules, more than the limit of 256"):
        _source(f"{HEAD};" * (RULES_MAX + 1))


# Each of these, some 600 to 1,500 levels deep, takes the process down in Cedar's parser.
@pytest.mark.parametrize(
    ("opening", "middle", "closing"),
    [
        ("(", "true", ")"),
        ("[", "1", "]"),
        ("{a: ", "1", "}"),
        ("", "true", " && true"),
        ("", "true", " || true"),
        ("", "1", " + 1"),
        ("", "1", " * 1"),
        ("", "principal", ".a"),
        ("", "principal", '["a"]'),
        ("", "principal", ".contains(1)"),
        ("if true then ", "true", " else true"),
        ("if true then true else ", "true", ""),
        ("!", "true", ""),
        ("-", "1", ""),
        ("", "true } when { true", "} when { true"),
    ],
)
@pytest.mark.parametrize("depth", [2 * NESTING_DEPTH_MAX, 1500])
def test_what_would_overflow_cedars_stack_is_refused(
    opening: str, middle: str, closing: str, depth: int
) -> None:
    text = f"{HEAD} when {{ {opening * depth}{middle}{closing * depth} }};"
    with pytest.raises(Misused, match=r"this rule nests .* deep, more than the limit of 64"):
        _source(text)


def test_breadth_is_not_depth() -> None:
    labels = ", ".join(f'"{n}"' for n in range(2000))
    _source(f"{HEAD} when {{ context.labels.containsAny([{labels}]) }};")
    _source(f"{HEAD} when {{ {' && '.join(['context.cost_micros < 9'] * 30)} }};")


def _expressions() -> st.SearchStrategy[str]:
    """Expressions of every form that Cedar has, nested in every way."""
    leaves = st.sampled_from(["1", "true", '"a"', "principal", 'Zone::"z"', "context.step"])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        operators = ["&&", "||", "==", "<", "+", "*", "-", "in"]
        return st.one_of(
            st.builds("({})".format, inner),
            st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner),
            st.builds("({0} && {1} && {0})".format, inner, inner),
            st.builds("!({})".format, inner),
            st.builds("({}).a.b".format, inner),
            st.builds('({})["a b"]'.format, inner),
            st.builds("({}).contains({})".format, inner, inner),
            st.builds("[{}, {}]".format, inner, inner),
            st.builds("{{a: {}, b: {}}}".format, inner, inner),
            st.builds("(if {} then {} else {})".format, inner, inner, inner),
            st.builds("(({}) has a.b)".format, inner),
            st.builds('(({}) like "a*")'.format, inner),
        )

    return st.recursive(leaves, larger, max_leaves=12)


def _depth(node: Any) -> int:
    if isinstance(node, (tuple, dict)):
        return max(map(_depth, node.values() if isinstance(node, dict) else node), default=0)
    if is_dataclass(node):
        return 1 + max((_depth(getattr(node, f.name)) for f in fields(node)), default=0)
    return 0


@given(_expressions())
def test_the_measured_nesting_bounds_the_depth_of_cedars_own_tree(expression: str) -> None:
    text = f"{HEAD} when {{ {expression} }};"
    (rule,) = cedarpy.PolicySet.from_str(text).to_pst().static_policies.values()
    (clause,) = rule.clauses
    leaf = 3  # below the deepest operator: an entity, its type, a leaf of that
    assert _depth(clause) <= _nesting(t.text for t in _source(text).statements[0].tokens) + leaf


@given(
    st.lists(st.sampled_from(["permit", "(", ")", "{", "}", ";", '"', "//", "\n", "a", "@", ","]))
)
def test_any_text_is_scanned_or_refused(parts: list[str]) -> None:
    with contextlib.suppress(Misused):
        source = _source(" ".join(parts))
        assert sum(len(rule.tokens) for rule in source.statements) <= len(parts)
