"""Every extension of every point, ours and installed ones, offers what its point's protocol says."""

import ast
import inspect
import math
from typing import Any

import orjson
import pytest

from tools.extensions import offered, points
from tunery.core.errors import Problem
from tunery.core.extensions import Point
from tunery.data.formats.point import FORMATS
from tunery.data.rows import ROW_TYPES, RowError, decode_row, encode_row
from tunery.methods.point import METHODS
from tunery.metrics.point import METRICS, Answer
from tunery.schemas.settings import extra_of, resolve_settings
from tunery.services.extensions import FINETUNING_TYPES

EVERY = [(module, point, name) for module, point in points() for name in point.names()]


@pytest.mark.parametrize(("module", "point", "name"), EVERY, ids=[f"{p.noun}-{n}" for _, p, n in EVERY])
def test_it_offers_every_member(module: Any, point: Point[Any], name: str) -> None:
    extension = point.load(name)
    assert extension.__doc__
    for member in offered(module, point).body:
        if isinstance(member, ast.AnnAssign):
            assert hasattr(extension, ast.unparse(member.target))
        elif isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
            theirs = getattr(extension, member.name)
            if any(ast.unparse(mark) == "property" for mark in member.decorator_list):
                continue
            wanted = [argument.arg for argument in member.args.args if argument.arg != "self"]
            assert list(inspect.signature(theirs).parameters) == wanted, member.name


@pytest.mark.parametrize("point", [point for _, point in points()], ids=lambda point: point.noun)
def test_an_unknown_name_is_answered_with_the_known_ones(point: Point[Any]) -> None:
    with pytest.raises(Problem) as caught:
        point.load("no-such-thing")
    assert caught.value.code == "unknown_extension"
    assert all(name in str(caught.value) for name in point.names())


@pytest.mark.parametrize("name", FORMATS.names())
def test_a_format_reads_its_own_example_and_refuses_what_is_none(name: str) -> None:
    found = FORMATS.load(name)
    record = orjson.loads(found.EXAMPLE)
    assert found.recognise(record)
    others = [other for other, format in FORMATS.all() if other != name and format.recognise(record)]
    assert others == [], "two formats claim one record"
    row = found.read(record)
    assert isinstance(row, ROW_TYPES[found.ROW_KIND])
    assert decode_row(encode_row(row)) == row
    for nothing in ({}, [], None, "text", 7, dict.fromkeys(record), dict.fromkeys(record, 7)):
        with pytest.raises(RowError) as caught:
            found.read(nothing)
        assert caught.value.rule
        assert caught.value.fix


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_explains_its_settings_and_recommends_good_ones(name: str) -> None:
    method = METHODS.load(name)
    for setting, info in method.Settings.model_fields.items():
        assert info.description, f"{setting} has no help"
        others = set(extra_of(info).get("only_with", {}))
        assert others <= set(method.Settings.model_fields)
    for kind in FINETUNING_TYPES:
        chosen = {**method.recommended(kind), "finetuning_type": kind}
        settings, _ = resolve_settings(name, method.Settings, chosen, {}, allow_out_of_range=False)
        assert settings.finetuning_type == kind


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_gives_a_number_that_prefers_the_right_answer(name: str) -> None:
    metric = METRICS.load(name)
    right = metric.score(Answer("Two and two?", "four", "four", nll=0.1, tokens=2, preference=1.5))
    wrong = metric.score(Answer("Two and two?", "four", "never", nll=9.0, tokens=2, preference=-0.5))
    assert (right > wrong) if metric.HIGHER_IS_BETTER else (right < wrong)
    for odd in (Answer("", "", "", nll=0.0, tokens=0), Answer("a", "b", "", nll=1e6, tokens=1)):
        assert math.isfinite(metric.score(odd))
