"""Renders chat templates with Debian's python3-jinja2, in the environment that transformers makes for them."""
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

# What strftime_now() tells in tests; render_chat knows the same moment.
NOW = datetime.datetime(2026, 7, 26, 14, 5, 9)


class Refusal(jinja2.exceptions.TemplateError):
    """raise_exception() of a template."""


class Generation(jinja2.ext.Extension):
    """{% generation %} marks the assistant's text; what it prints is printed."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise Refusal(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    out = jinja2.sandbox.SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    out.filters["tojson"] = to_json
    out.globals["raise_exception"] = raise_exception
    out.globals["strftime_now"] = NOW.strftime
    return out


def render(text, variables):
    """{"text": what it prints}, {"refused": message} or {"error": what went wrong}."""
    # A copy: templates may change what they are given.
    given = json.loads(json.dumps(variables))
    try:
        return {"text": environment().from_string(text).render(**given)}
    except Refusal as refusal:
        return {"refused": str(refusal)}
    except Exception as problem:  # templates fail in every way that Python has
        return {"error": f"{type(problem).__name__}: {problem}"}
