"""A chat template: text written by strangers that is run, so it gets a sandbox and a budget.

The environment offers what transformers' `apply_chat_template` offers, so that the same messages give the same
text. Loops, calls, filters and output are counted; a template that goes on too long or grows too big is ended.
The module knows nothing of tokens.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from threading import Lock
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

MOST_STEPS = 1_000_000
"""Rounds of loops, calls and filters of one rendering."""
MOST_SECONDS = 5.0
MOST_CHARACTERS = 64 << 20
"""Of all that one rendering puts out, and of any text made on the way."""
LARGEST_NUMBER = 1_000_000
"""As an argument: no honest template indents or counts further."""
LONGEST_SOURCE = 1 << 20

PLAIN = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ message['content'] + eos_token + '\n' }}"
    "{% elif message['role'] == 'system' %}{{ 'System: ' + message['content'] + eos_token + '\n' }}"
    "{% else %}{{ 'Human: ' + message['content'] + eos_token + '\nAssistant:' }}{% endif %}"
    "{% endfor %}"
)
"""For models that bring none and whose tokenizer names an end: the form that LLaMA-Factory calls `default`."""

_WIDTH = re.compile(r"\d{6}|\*|\{[^{}]*:[^{}]*\{")
"""In a format string: a width that would fill memory, or one taken from elsewhere."""


class TemplateFailure(Exception):
    """The template refused, failed, or was ended. The text is fit for people."""


class ChatTemplate:
    """A compiled template. `variables` are the special tokens it may name (bos_token, eos_token …)."""

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        if len(source) > LONGEST_SOURCE:
            raise TemplateFailure(f"the template is longer than {LONGEST_SOURCE} characters")
        self._variables = dict(variables)
        self._lock = Lock()
        self._environment = _Environment()
        try:
            tree = self._environment.parse(source)
            self._literals = "\0".join(
                [node.data for node in tree.find_all(nodes.TemplateData)]
                + [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
            )
            code = self._environment.compile(_Measured(self._environment).visit(tree))
        except jinja2.TemplateError as error:
            raise TemplateFailure(f"the template can't be read: {error}") from error
        except RecursionError as error:
            raise TemplateFailure("the template is nested too deeply") from error
        self._template = jinja2.Template.from_code(self._environment, code, self._environment.globals)
        self.marks_answers = self._environment.marks_answers
        """It says itself, by `{% generation %}`, what the model writes."""

    def writes(self, text: str) -> bool:
        """Whether the text stands literally in the template."""
        return text in self._literals

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any] | None,
        add_generation_prompt: bool,
        now: datetime,
        marks: tuple[str, str],
    ) -> str:
        """The text. What stands in `{% generation %}` is put between the two `marks`. Raises TemplateFailure."""
        with self._lock:
            self._environment.begin(now, marks)
            try:
                return self._template.render(
                    messages=messages,
                    tools=tools,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **self._variables,
                )
            except RecursionError as error:
                raise TemplateFailure("the template recurses endlessly") from error
            except MemoryError as error:
                raise TemplateFailure("the template ran out of memory") from error
            except jinja2.TemplateError as error:
                raise TemplateFailure(error.message or type(error).__name__) from error
            except Exception as error:  # any Python error can come out of a template's expressions
                raise TemplateFailure(f"{type(error).__name__}: {error}") from error


class _Generation(Extension):
    """`{% generation %} … {% endgeneration %}` around what the model writes."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        environment = self.environment
        assert isinstance(environment, _Environment)
        environment.marks_answers = True
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Callable[[], str]) -> str:
        environment = self.environment
        assert isinstance(environment, _Environment)
        opening, closing = environment.marks
        return f"{opening}{caller()}{closing}"


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        self.marks_answers = False
        self.begin(datetime.now(), ("", ""))
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing of the template is to run while it is compiled
            extensions=[_Generation, loopcontrols],
            finalize=self._put_out,
        )
        self.filters = {name: self._guarded(name, call) for name, call in self.filters.items()}
        self.filters["tojson"] = _tojson
        self.filters["tunery_each"] = self._each
        self.filters["tunery_sized"] = self._sized
        self.globals.pop("lipsum")
        self.globals.update(
            raise_exception=_raise_exception,
            strftime_now=lambda format: self.now.strftime(format),
            dict=_Dict(),
            namespace=_Namespace,
        )

    def begin(self, now: datetime, marks: tuple[str, str]) -> None:
        """A new rendering with a full budget."""
        self.now = now
        self.marks = marks
        self._steps = 0
        self._characters = 0
        self._deadline = time.monotonic() + MOST_SECONDS

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        __self._spend(1)
        __self._check_arguments(args, kwargs)
        __self._check_method(__obj, args)
        return __self._sized(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*" and (hasattr(left, "__len__") or hasattr(right, "__len__")):
            sequence, times = (left, right) if hasattr(left, "__len__") else (right, left)
            if isinstance(times, int) and len(sequence) * times > LARGEST_NUMBER:
                raise SecurityError("the template repeats something too often")
        elif operator == "**" and (abs(left) > LARGEST_NUMBER or abs(right) > 64):
            raise SecurityError("the template computes too large a number")
        elif operator == "%" and isinstance(left, str) and _WIDTH.search(left):
            raise SecurityError("the template formats text too widely")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and result.bit_length() > 1024:
            raise SecurityError("the template computes too large a number")
        return self._sized(result)

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise SecurityError(f"the template took more than {MOST_STEPS} steps")
        if time.monotonic() > self._deadline:
            raise SecurityError(f"the template took more than {MOST_SECONDS:g} seconds")

    def _each(self, items: Any) -> Any:
        """Put around what every loop goes through."""
        if hasattr(items, "__len__"):
            self._spend(len(items) + 1)
            return items
        return self._count(items)

    def _count(self, items: Iterable[Any]) -> Iterable[Any]:
        for item in items:
            self._spend(1)
            yield item

    def _sized(self, value: Any) -> Any:
        if isinstance(value, str | list | tuple | dict) and len(value) > MOST_CHARACTERS:
            raise SecurityError("the template makes too much text")
        return value

    def _put_out(self, value: Any) -> Any:
        """Everything a template writes goes through here, what it writes into variables too."""
        if not isinstance(value, str):
            value = str(value)
        self._characters += len(value)
        if self._characters > MOST_CHARACTERS:
            raise SecurityError("the template makes too much text")
        return value

    def _guarded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self._spend(1)
            self._check_arguments(args, kwargs)
            if name == "format" and isinstance(args[0], str) and _WIDTH.search(args[0]):
                raise SecurityError("the template formats text too widely")
            return self._sized(call(*args, **kwargs))

        return guarded

    def _check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for value in (*args, *kwargs.values()):
            if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                raise SecurityError(f"the template uses a number above {LARGEST_NUMBER} as an argument")

    def _check_method(self, method: Any, args: tuple[Any, ...]) -> None:
        method = getattr(method, "__wrapped__", method)  # the sandbox puts a wrapper around str.format
        text, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if not isinstance(text, str):
            return
        grows = 0
        if name == "replace" and len(args) >= 2 and all(isinstance(part, str) for part in args[:2]):
            grows = text.count(args[0]) * len(args[1])
        elif name == "join" and args and isinstance(args[0], list | tuple):
            grows = len(text) * len(args[0]) + sum(len(part) for part in args[0] if isinstance(part, str))
        elif name == "format" and _WIDTH.search(text):
            raise SecurityError("the template formats text too widely")
        if grows > MOST_CHARACTERS:
            raise SecurityError("the template makes too much text")


class _Measured(NodeTransformer):
    """Puts the counting filters around loops and `~`, which the sandbox itself doesn't see."""

    def __init__(self, environment: _Environment) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        assert isinstance(node.iter, nodes.Expr)
        node.iter = self._filter(node.iter, "tunery_each")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._filter(node, "tunery_sized")

    def _filter(self, node: nodes.Expr, name: str) -> nodes.Filter:
        around = nodes.Filter(node, name, [], [], None, None)
        around.set_lineno(node.lineno)
        around.set_environment(self._environment)
        return around


class _Dict:
    """`dict` without its other attributes."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class _Namespace(Namespace):
    """`namespace` without names that begin with an underscore, which reach into Python."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        values = dict(*rest, **kwargs)
        for name in values:
            _refuse_underscore(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_underscore(name)
        super().__setitem__(name, value)


def _refuse_underscore(name: str) -> None:
    if name.startswith("_"):
        raise SecurityError(f"the template may not set the attribute {name!r}")


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    if indent is not None and indent > 100:
        raise SecurityError("the template indents too far")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
