"""Chat templates from strangers: they render what they should, and can't do more."""

import time
from datetime import datetime

import pytest

from tunery.data.template import ChatTemplate, TemplateFailure

NOW = datetime(2026, 11, 21)
MESSAGES = [{"role": "user", "content": "a" * 1000}, {"role": "assistant", "content": "b"}]


def render(source: str, **more: object) -> str:
    template = ChatTemplate(source, {"bos_token": "<s>"})
    options: dict[str, object] = {
        "tools": None,
        "add_generation_prompt": False,
        "now": NOW,
        "marks": ("⟦", "⟧"),
    }
    return template.render(MESSAGES, **{**options, **more})  # pyright: ignore[reportArgumentType]


def test_what_templates_use_is_there() -> None:
    assert render("{{ bos_token }}{{ strftime_now('%d %b %Y') }}") == "<s>21 Nov 2026"
    assert render("{{ {'a': '<é>'} | tojson }}") == '{"a": "<é>"}'
    assert (
        render(
            "{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}"
        )
        == "user"
    )
    assert (
        render(
            "{% for m in messages %}\n  {% if loop.last %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}\n"
        )
        == "b\n"
    )
    assert render("a{% generation %}b{% endgeneration %}c") == "a⟦b⟧c"
    assert (
        render("{% set ns = namespace(n=1) %}{% set ns.n = ns.n + 1 %}{{ ns.n }} {{ dict(a=1).a }}") == "2 1"
    )
    assert render(
        "{% for x in range(3) %}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem }};{% endfor %}"
    ) == ("33;320;311;")
    assert render("{{ messages | map(attribute='role') | join('-') }} {{ 'x' ~ 1 }}") == "user-assistant x1"
    assert render("{% if tools %}tools{% endif %}{{ tools is none }}") == "True"


def test_a_template_may_refuse() -> None:
    with pytest.raises(TemplateFailure, match=r"^no such role$"):
        render("{{ raise_exception('no such role') }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append({}) }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ namespace(__class__=1) }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ lipsum(1) }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
    ],
)
def test_nothing_leads_out_of_the_sandbox(source: str) -> None:
    with pytest.raises(TemplateFailure):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in messages[0].content %}{% for b in messages[0].content %}{% for c in messages[0].content %}"
        "{% endfor %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(80) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'a' * 10 ** 12 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ 'a' | center(10 ** 9) }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, '999999999') }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ {'a': [1]} | tojson(indent=100000) }}",
        "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}"
        "{% set ns.x = y %}{% endfor %}",
        "{% set ns = namespace(x=9) %}{% for a in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for a in range(20) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"
        "{{ ns.x.replace('a', ns.x) }}",
        "{% set ns = namespace(x='a') %}{% for a in range(20) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"
        "{{ ns.x.join([ns.x] * 1000) }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{" * 2_000_000,
        "{{ " + "(" * 100_000 + ")" * 100_000 + " }}",
        "{% if %}",
    ],
)
def test_a_greedy_template_is_ended(source: str) -> None:
    started = time.process_time()
    with pytest.raises(TemplateFailure) as failure:
        render(source)
    assert str(failure.value)
    assert time.process_time() - started < 8


def test_a_failure_costs_only_one_rendering() -> None:
    template = ChatTemplate(
        "{% for a in range(times) %}{% for b in range(99999) %}{% endfor %}{% endfor %}ok", {}
    )
    with pytest.raises(TemplateFailure, match="int"):
        template.render(MESSAGES, tools=None, add_generation_prompt=False, now=NOW, marks=("", ""))
    template = ChatTemplate(
        "{% for a in range(messages | length * 6) %}{% for b in range(99999) %}{% endfor %}{% endfor %}ok", {}
    )
    with pytest.raises(TemplateFailure, match="steps"):
        template.render(MESSAGES, tools=None, add_generation_prompt=False, now=NOW, marks=("", ""))
    assert (
        template.render(MESSAGES[:1], tools=None, add_generation_prompt=False, now=NOW, marks=("", ""))
        == "ok"
    )
