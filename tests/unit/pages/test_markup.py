"""Markup: what is not markup is escaped, whoever wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pages.markup import Markup, element, number


def test_element_escapes_text_and_attributes_but_not_markup() -> None:
    inner = element("b", "1 < 2")
    assert '<p class="a &quot;b&quot;" data-label="&lt;x&gt;"><b>1 &lt; 2</b>&amp;</p>' == element(
        "p", inner, "&", class_='a "b"', data_label="<x>", title=None
    )
    assert isinstance(inner, Markup)


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    written = element("p", text, title=text)
    assert 2 == written.count("<")
    assert 2 == written.count(">")
    assert 2 == written.count('"')


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (1.25, "1.2"), (-0.06, "-0.1"), (12, "12")]
)
def test_number_is_short(value: float, text: str) -> None:
    assert text == number(value)
