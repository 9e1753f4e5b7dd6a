#!/usr/bin/env python3
"""Writes what python3-jinja2 prints: fixtures/chat/constructs.json for every construct the evaluator has, fixtures/chat/families.json for
fixtures/chat/templates."""
import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/model/chat"))
try:
    import conversations
    from reference import render
except ModuleNotFoundError as missing:
    print(f"skipped: {missing.name} is not installed (python3-jinja2)")
    sys.exit(77)

DATA = {
    "name": "Victor", "empty": "", "nothing": None, "yes": True, "no": False, "n": 7, "big": 123456789, "x": 2.5,
    "words": ["one", "Two", "three", "two", "ONE"], "numbers": [3, 1, 2, 3, 1],
    "users": [
        {"name": "Ann", "age": 31, "tags": ["a", "b"], "address": {"town": "Bern"}},
        {"name": "bob", "age": 9, "tags": [], "address": {"town": "Ulm"}},
        {"name": "Cid", "age": 31, "tags": ["c"], "address": {}},
    ],
    "map": {"b": 2, "a": 1, "items": "shadow", "C": 3}, "text": "line one\nline two\n\nline four",
    "html": "<a href=\"x\">'&'</a>", "unicode": "Größe 北京 🙂 ÉÀ", "nested": {"list": [1, [2, {"k": None}]], "f": 1.0, "t": True},
    "spaced": " \t two  words \n", "json": {"a": [1, 2.5, "x\"\\\n\u0001\u00e9<&>"], "b": {}, "c": []},
}

# One group a construct: its name, then templates.
CONSTRUCTS = {
    "white space": [
        "a\n{% if yes %}\n  b\n{% endif %}\nc\n", "a  {%- if yes -%}  b  {%- endif -%}  c", "  {% if yes %}x{% endif %}  \n  y",
        "  {%+ if yes %}x{% endif +%}\ny", "a {# comment #} b", "a\n  {# comment #}\nb", "a {#- comment -#} b", "{{ 1 }}\n{{ 2 }}\n\n", "x\r\ny\rz\n",
        "\n\n{%- if yes %}\n\n a{% endif %}", "{% raw %}{{ not }} {% tags %}{% endraw %}!", "  {%- raw -%}  {{ x }}  {%- endraw -%}  y", "{{- 'a' -}}   b  {{- 'c' }}",
        "{% if yes -%}\n   x\n{%- endif %}\n\ny", "a\n\t{% set q = 1 %}\t\nb{{ q }}", "{{ '}}' }}{{ '%}' }}{% set d = {'a': {'b': 1}} %}{{ d['a']['b'] }}",
        "{%- for i in [1, 2] %}\n  {{- i }}\n{% endfor %}\nend", "  {{ 1 }}  {# c #}  \n  {% set x = 1 %}  {{ x }}", "{% raw %}\n a\n{% endraw %}\nb"],
    "literals": [
        "{{ 'a\\n\\t\\x41\\u00e9\\101\\'\\\\' }}", "{{ \"it's\" }}", "{{ 'a' 'b' \"c\" }}", "{{ 'line\nbreak' }}", "{{ 'a\\\nb' }}", "{{ '\\q' }}", "{{ 1_000 }}", "{{ 1.5e3 }} {{ 2e-7 }} {{ 1e16 }} {{ 1.0 }} {{ 123456789.125 }}",
        "{{ true }} {{ True }} {{ false }} {{ none }} {{ None }}", "{{ [1, 'a', none, true, 1.0] }}", "{{ {'a': 1, 2: 'b', none: []} }}", "{{ (1, 2) }} {{ (1,) }} {{ () }}", "{{ 1, 2 }}", "{{ [] }} {{ {} }}",
        "{{ ['it\\'s', 'a\"b', 'both\\'\"', '\\n\\\\'] }}", "{{ [unicode] }}", "{{ ['\\x7f\\x00\\u00a0'] }}", "{{ 0.1 + 0.2 }}", "{{ 1e300 * 1e10 }}", "{{ -0.0 }}"],
    "operators": [
        "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 6 / 3 }}", "{{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}", "{{ 1 + 2 * 3 - 4 }}", "{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }}",
        "{{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 2 * 'x' }} {{ 'x' * -1 }}", "{{ [1] + [2] }} {{ [1, 2] * 2 }} {{ (1,) + (2,) }}", "{{ 'a' ~ 1 ~ none ~ true ~ [1] ~ missing ~ 1.0 }}", "{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }}",
        "{{ 'a' in 'cat' }} {{ 'x' not in 'cat' }} {{ 1 in [1] }} {{ 'a' in map }} {{ 1 in (1, 2) }} {{ 'a' in missing }}", "{{ not yes }} {{ not not 1 }} {{ yes and 'x' }} {{ no or 'y' }} {{ '' or none or 0 }} {{ 1 and 2 and 3 }}",
        "{{ 'a' if yes else 'b' }} {{ 'a' if no else 'b' }} {{ 'a' if no }}| {{ 1 if no else 2 if no else 3 }}", "{{ -x }} {{ +n }} {{ -n }} {{ -(-n) }}", "{{ 'n=%d s=%s f=%.2f %%' % (n, 'str', x) }} {{ '%s' % name }} {{ '%05d|%-5s|%5s|%x' % (42, 'ab', 'cd', 255) }}",
        "{{ 1 != 2 }} {{ 'a' != 'a' }} {{ none == false }} {{ [] == () }} {{ {'a': 1} == {'a': 1.0} }} {{ missing == other }}", "{{ true + true }} {{ 10 - true }}", "{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ [] < 1 }}", "{{ 1 in 5 }}", "{{ 1 in 'abc' }}", "{{ 'é' in unicode }} {{ 'Größe' in unicode }}"],
    "names and items": [
        "{{ name }}{{ missing }}{{ nothing }}", "{{ users[0].name }} {{ users[0]['age'] }} {{ users[-1].name }}", "{{ users.0.name }}", "{{ map['items'] }} {{ map.a }} {{ map['zz'] }}|", "{{ users[99] }}|{{ users[99] is defined }}",
        "{{ missing.attribute }}", "{{ missing['x'] }}", "{{ map.zz.y }}", "{{ name[0] }}{{ name[-1] }}{{ unicode[1] }}{{ unicode[6] }}", "{{ name[1:3] }} {{ name[:2] }} {{ name[2:] }} {{ name[::-1] }} {{ name[-3:-1] }} {{ name[::2] }} {{ name[10:] }}|",
        "{{ words[1:] }} {{ words[:-1] }} {{ words[::2] }} {{ words[-2:] }} {{ words[3:1:-1] }} {{ words[:] }}", "{{ unicode[2:9] }}", "{{ (1, 2, 3)[1:] }} {{ range(5)[1:3]|list }}", "{{ nested.list[1][1].k }}", "{{ nested }}", "{{ words[n - 6] }}", "{{ name['upper']() }}", "{{ name.nothing }}|", "{{ n.real_nothing }}|", "{{ words['a'] }}|", "{{ name[1.5] }}|"],
    "if": ["{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if n > 9 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% else %}c{% endif %}", "{% if missing %}a{% endif %}b", "{% if words %}w{% endif %}{% if [] %}e{% endif %}{% if map %}m{% endif %}", "{% if yes %}{% set z = 1 %}{% endif %}{{ z }}",
           "{% if no %}{{ 1 | no_such_filter }}{% endif %}ok", "{% if no %}{{ 1 is no_such_test }}{% endif %}ok", "{{ 1 | no_such_filter }}"],
    "for": [
        "{% for u in users %}{{ loop.index }}/{{ loop.length }}:{{ u.name }}{% if not loop.last %}, {% endif %}{% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in missing %}a{% else %}none{% endfor %}", "{% for k, v in map.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in map %}{{ k }}{% endfor %}",
        "{% for c in 'aé北' %}[{{ c }}]{% endfor %}", "{% for u in users if u.age > 10 %}{{ loop.index }}{{ u.name }}{{ loop.length }}{% else %}x{% endfor %}", "{% for i in range(3) %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }} {% endfor %}",
        "{% for i in [1, 1, 2] %}{{ loop.previtem }}-{{ i }}-{{ loop.nextitem }} {{ loop.changed(i) }} {{ loop.cycle('a', 'b') }};{% endfor %}", "{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}", "{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}", "{% for i in [1, 2] %}{% continue %}{% else %}e{% endfor %}{% for i in [1, 2] %}{% break %}{% else %}e{% endfor %}{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{% else %}e{% endfor %}", "{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 6 %}{% break %}{% endif %}{{ i }}{% endfor %}",
        "{% for i in [1, 2] %}{% for j in [3, 4] %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }}{% endfor %}", "{% set q = 0 %}{% for i in [1, 2] %}{% set q = q + i %}{{ q }}{% endfor %}{{ q }}", "{% set ns = namespace(q=0) %}{% for i in [1, 2] %}{% set ns.q = ns.q + i %}{% endfor %}{{ ns.q }}",
        "{% for i in [1] %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for i in [1, 2, 3] if i != 2 %}{{ loop.previtem }}{{ i }}{{ loop.nextitem }}|{% endfor %}", "{% for i in (1, 2) %}{{ i }}{% endfor %}", "{% for i in range(1, 8, 3) %}{{ i }}{% endfor %}{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}",
        "{% for x in words %}{% if loop.first %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for u in users|sort(attribute='age') %}{{ u.name }}{% endfor %}", "{{ range(3) }} {{ range(1, 9, 2) }} {{ range(0) }} {{ range(3)|list }} {{ range(3)|length }} {{ range(5)[2] }}", "{{ range(200000)|length }}",
        "{% for key in map if key != 'a' %}{{ key }}{% endfor %}", "{% for i in [0, 1] %}{% set loop_var = loop.index %}{{ loop_var }}{% endfor %}{{ loop_var }}|", "{{ loop }}|"],
    "set": ["{% set a = 1 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = words[:2] %}{{ a }}{{ b }}", "{% set a %}x{{ n }}y{% endset %}{{ a }}", "{% set a | upper %}x{{ n }}y{% endset %}{{ a }}", "{% set a | replace('x', 'z') | upper %}x{% set inner = 5 %}{% endset %}{{ a }}{{ inner }}", "{% set ns = namespace(a=1, b='x') %}{% set ns.a = 5 %}{% set ns.c = 3 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns.d }}|", "{% set map.q = 1 %}", "{% set name = 'local' %}{{ name }}", "{% set ns = namespace({'k': 1}) %}{{ ns.k }}{{ ns['k'] }}", "{% set a = b = 1 %}", "{% set a = (1, 2) %}{{ a }}", "{% set a = 1, 2 %}{{ a[1] }}", "{% set a, b = 1, 2, 3 %}"],
    "macro": [
        "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='z') }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(3) }}", "{% set g = 1 %}{% macro m() %}{{ g }}{% set g = 9 %}{% endmacro %}{% set g = 2 %}{{ m() }}{{ g }}",
        "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(4) }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body {{ n }}{% endcall %}", "{% macro m(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(item) m([1, 2]) %}<{{ item }}>{% endcall %}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
        "{% macro m(a) -%}\n  {{ a }}\n{%- endmacro %}{{ m('q') | upper }}{{ m('q') ~ 'w' }}", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}", "{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m() %}{{ later() }}{% endmacro %}{% macro later() %}L{% endmacro %}{{ m() }}", "{% macro m(a, b) %}{{ a is defined }}{{ b is defined }}{% endmacro %}{{ m(1) }}", "{{ m is defined }}{% macro m() %}{% endmacro %}", "{{ nosuch() }}", "{{ name() }}"],
    "with filter scope": ["{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}|", "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z }}|", "{% filter upper %}a{{ n }}b{% endfilter %}", "{% filter replace('a', 'o') | title %}banana bread{% endfilter %}", "{% generation %}{{ name }}{% set z = 1 %}{% endgeneration %}{{ z }}|"],
    "text filters": [
        "{{ name|upper }}{{ name|lower }}{{ 'ab cd'|title }}{{ 'ABC def'|capitalize }}{{ unicode|upper }}{{ unicode|lower }}{{ 'straße'|upper }}", "{{ 'hello wORLD-foo (bar) [baz] it\\'s'|title }} {{ \"it's a 3rd test\".title() }}", "[{{ spaced|trim }}][{{ 'xxaxx'|trim('x') }}]", "{{ 'aaa'|replace('a', 'b') }}{{ 'aaa'|replace('a', 'b', 2) }}{{ 12|replace('1', '3') }}{{ 'ab'|replace('', '-') }}", "{{ 5|string ~ 'x' }}{{ none|string }}{{ [1]|string }}", "{{ html|escape }} {{ html|e|e }} {{ html|safe }} {{ html|e|forceescape }} {{ ('<'|e) + '<' }} {{ '<' + ('<'|safe) }}",
        "{{ text|indent }}", "{{ text|indent(2, true) }}", "{{ text|indent(2, blank=true) }}", "{{ text|indent('> ') }}", "{{ text|indent(width=1, first=true, blank=true) }}", "[{{ 'ab'|center(7) }}][{{ 'abc'|center(8) }}][{{ 'abc'|center(2) }}]", "{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11, false, '..', 0) }}", "{{ text|wordcount }} {{ unicode|wordcount }} {{ ''|wordcount }}", "{{ 'a b/ü&c'|urlencode }} {{ map|urlencode }} {{ [('a b', 1)]|urlencode }}", "{{ '%s-%d'|format('a', 3) }}", "{{ text|length }} {{ unicode|length }}", "{{ 'abc'|reverse }} {{ 'abc'|first }} {{ 'abc'|last }} {{ 'abc'|list }}", "{{ name|default('d') }}{{ missing|default('d') }}{{ ''|default('d') }}{{ ''|default('d', true) }}{{ nothing|d('x') }}{{ nothing|d('x', true) }}{{ missing|d }}|"],
    "tojson": ["{{ json|tojson }}", "{{ json|tojson(indent=2) }}", "{{ json|tojson(indent=4) }}", "{{ unicode|tojson }} {{ unicode|tojson(ensure_ascii=true) }}", "{{ map|tojson(sort_keys=true) }}", "{{ map|tojson(separators=(',', ':')) }}", "{{ [1.0, 1e20, true, none, 'x']|tojson }}", "{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}", "{{ missing|tojson }}", "{{ []|tojson(indent=2) }}{{ {}|tojson(indent=2) }}{{ [[]]|tojson(indent=1) }}", "{{ (1, 2)|tojson }}", "{{ '\\x7f\\u2028</script>'|tojson }}", "{{ map.items()|tojson }}", "{{ map|tojson(indent=0) }}"],
    "numbers": ["{{ '42'|int }} {{ '42.9'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ 3.99|int }} {{ -3.99|int }} {{ none|int }} {{ true|int }} {{ ' 7 '|int }} {{ 'ff'|int(0, 16) }} {{ '0x1f'|int(0, 16) }} {{ '1_0'|int }} {{ ''|int }}", "{{ '1.5'|float }} {{ 'x'|float }} {{ 3|float }} {{ 'x'|float(1.5) }} {{ '1e3'|float }} {{ 'inf'|float }} {{ ' 2 '|float }}", "{{ -5|abs }} {{ (-5)|abs }} {{ 2.5|abs }} {{ (-2.5)|abs }}", "{{ 2.567|round }} {{ 2.567|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ 2.9|round(method='floor') }} {{ 2.5|round }} {{ 3.5|round }} {{ 7|round }}", "{{ big * big }}", "{{ 3 is odd }}{{ 4 is even }}{{ 9 is divisibleby(3) }}{{ 9 is divisibleby 4 }}", "{{ 1e5|int }} {{ 12345678901234567|float }} {{ 0.00001 }} {{ 0.0001 }} {{ 1e15 }} {{ 123456789012345680.0 }}", "{{ missing|int }}", "{{ missing|float }}", "{{ [1]|int }} {{ 'a'|abs }}"],
    "sequence filters": [
        "{{ words|join }} {{ words|join(', ') }} {{ users|join('+', attribute='name') }} {{ numbers|join('-') }} {{ missing|join }}|", "{{ words|first }} {{ words|last }} {{ []|first }}| {{ map|first }} {{ map|last }}", "{{ words|length }} {{ map|length }} {{ map|count }} {{ missing|length }}", "{{ numbers|sort }} {{ words|sort }} {{ words|sort(reverse=true) }} {{ words|sort(case_sensitive=true) }} {{ users|sort(attribute='age,name')|map(attribute='name')|join }} {{ users|sort(attribute='address.town')|length }}", "{{ users|sort(attribute='name', reverse=true)|map(attribute='name')|list }}", "{{ numbers|unique|list }} {{ words|unique|list }} {{ words|unique(case_sensitive=true)|list }} {{ users|unique(attribute='age')|map(attribute='name')|list }}",
        "{{ numbers|reverse|list }} {{ map|list }} {{ 'ab'|list }}", "{{ numbers|min }} {{ numbers|max }} {{ words|min }} {{ users|max(attribute='age') }} {{ []|min }}|", "{{ numbers|sum }} {{ users|sum(attribute='age') }} {{ numbers|sum(start=10) }} {{ [[1], [2]]|sum(start=[]) }}", "{{ words|map('upper')|join(',') }} {{ words|map('replace', 'o', '0')|list }} {{ users|map(attribute='tags')|map('length')|list }} {{ users|map(attribute='address.town', default='?')|list }} {{ users|map(attribute='zz')|list }}", "{{ numbers|select('odd')|list }} {{ numbers|select('gt', 1)|list }} {{ [0, 1, '', 'a', none]|select|list }} {{ numbers|reject('odd')|list }} {{ [0, 1]|reject|list }} {{ words|select('in', ['one', 'Two'])|list }}",
        "{{ users|selectattr('age', 'equalto', 31)|map(attribute='name')|list }} {{ users|selectattr('tags')|list|length }} {{ users|rejectattr('tags')|list|length }} {{ users|selectattr('address.town', 'defined')|list|length }} {{ users|rejectattr('age', 'lt', 10)|list|length }} {{ users|selectattr('name', 'string')|first }}", "{% for p in map|items %}{{ p }}{% endfor %} {{ missing|items|list }}", "{{ map|dictsort }} {{ map|dictsort(true) }} {{ map|dictsort(reverse=true) }}", "{% for k, v in {'b': 2, 'a': 3}|dictsort(by='value') %}{{ k }}{{ v }}{% endfor %}", "{{ numbers|batch(2)|list }} {{ numbers|batch(2, 0)|list }} {{ numbers|slice(2)|list }} {{ numbers|slice(3, 'x')|list }}", "{{ users|map(attribute='name') is defined }} {% if []|select %}generator is true{% endif %}", "{{ (numbers|select('odd'))|length }}", "{% set g = numbers|select('odd') %}{{ g|list }}{{ g|list }}", "{% set g = numbers|reject('odd') %}{{ g|first }}{{ g|list }}", "{{ map|attr('get') is callable }} {{ map|attr('zz') is defined }}", "{{ 5|length }}", "{{ 5|join }}", "{{ [3, 'a']|sort }}", "{{ users|selectattr('nope', 'defined')|list }}", "{{ words|select('no_such_test')|list }}", "{{ words|map('no_such_filter')|list }}", "{{ [[2, 'b'], [1, 'z']]|sort }}", "{{ [true, false, 2]|sort }}", "{{ words|join(d='/') }}"],
    "tests": [
        "{{ missing is defined }}{{ missing is undefined }}{{ name is defined }}{{ nothing is none }}{{ nothing is not none }}{{ map.zz is defined }}", "{{ name is string }}{{ n is string }}{{ n is number }}{{ x is number }}{{ yes is number }}{{ n is integer }}{{ yes is integer }}{{ x is float }}{{ n is float }}", "{{ yes is boolean }}{{ n is boolean }}{{ yes is true }}{{ 1 is true }}{{ no is false }}{{ 0 is false }}", "{{ map is mapping }}{{ words is mapping }}{{ words is sequence }}{{ name is sequence }}{{ map is sequence }}{{ 5 is sequence }}{{ words is iterable }}{{ name is iterable }}{{ map is iterable }}{{ 5 is iterable }}{{ none is iterable }}{{ missing is iterable }}", "{{ map.items() is sequence }}{{ map.items() is iterable }}{{ words|map('upper') is sequence }}{{ range(3) is sequence }}", "{{ 'abc' is lower }}{{ 'ABC' is upper }}{{ 'aBc' is lower }}{{ '123' is upper }}{{ 'É' is upper }}", "{{ 1 is eq 1 }}{{ 1 is equalto(2) }}{{ 1 is ne 2 }}{{ 1 is lt 2 }}{{ 2 is le 2 }}{{ 3 is gt 2 }}{{ 3 is ge 4 }}{{ 3 is greaterthan 2 }}{{ 1 is lessthan 2 }}", "{{ 1 is in [1, 2] }}{{ 'x' is in 'abc' }}{{ 'a' is not in map }}", "{{ none is sameas none }}{{ yes is sameas true }}{{ 1 is sameas true }}", "{{ 'upper' is filter }}{{ 'nope' is filter }}{{ 'odd' is test }}", "{{ name.upper is callable }}{{ name is callable }}{{ raise_exception is callable }}{{ range is defined }}{{ strftime_now is defined }}", "{{ html|e is escaped }}{{ html is escaped }}", "{{ name is defined and n is not none or no }}{{ not name is defined }}{{ name is not defined }}", "{{ 5 is divisibleby 5 and 1 is odd }}", "{{ (n is number) == (x is number) }}", "{{ users[0] is mapping and users[0].tags is sequence }}", "{{ 'a' if name is defined else 'b' }}"],
    "text methods": [
        "[{{ spaced.strip() }}][{{ spaced.lstrip() }}][{{ spaced.rstrip() }}][{{ 'xxaxx'.strip('x') }}][{{ 'abcba'.lstrip('ab') }}][{{ 'abcba'.rstrip('ab') }}]", "{{ 'a b  c'.split() }}{{ 'a,b,,c'.split(',') }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ ' a b c '.split(None, 1) }}{{ ' a b c '.rsplit(None, 1) }}{{ 'a</think>b'.split('</think>')[-1] }}{{ ''.split() }}{{ ''.split(',') }}{{ 'abc'.split('x') }}{{ 'a,b'.split(',', maxsplit=1) }}", "{{ text.splitlines() }}{{ 'a\\r\\nb\\n'.splitlines(true) }}", "{{ name.startswith('Vi') }}{{ name.endswith('x') }}{{ name.startswith(('a', 'V')) }}{{ name.startswith('i', 1) }}{{ name.endswith(('r', 'z')) }}", "{{ name.upper() }}{{ name.lower() }}{{ 'ab cd'.title() }}{{ 'ABC'.capitalize() }}{{ 'aBc'.swapcase() }}", "{{ 'aaa'.replace('a', 'b') }}{{ 'aaa'.replace('a', 'b', 1) }}{{ 'aéa'.replace('é', '-') }}", "{{ unicode.find('北') }}{{ 'abcabc'.rfind('b') }}{{ 'abc'.find('z') }}{{ 'abcabc'.count('b') }}{{ 'abc'.index('c') }}{{ 'aaa'.count('') }}", "{{ 'abc'.index('z') }}", "{{ ', '.join(words) }}{{ '-'.join('abc') }}", "{{ ','.join([1]) }}", "{{ '12'.isdigit() }}{{ 'a1'.isalpha() }}{{ 'a1'.isalnum() }}{{ ' '.isspace() }}{{ 'A'.isupper() }}{{ 'a'.islower() }}{{ ''.isdigit() }}", "{{ 'prefix-x'.removeprefix('prefix-') }}{{ 'x.txt'.removesuffix('.txt') }}{{ 'a-b-c'.partition('-') }}{{ 'a-b-c'.rpartition('-') }}{{ 'abc'.partition('-') }}{{ 'abc'.rpartition('-') }}", "[{{ 'a'.ljust(3) }}][{{ 'a'.rjust(3, '*') }}][{{ '-7'.zfill(4) }}]", "{{ name.nosuch() }}", "{% set f = name.upper %}{{ f() }}", "{{ ''.strip() }}|{{ 'x'.strip('') }}"],
    "list and dict methods": ["{{ map.get('a') }}{{ map.get('zz') }}{{ map.get('zz', 'd') }}{{ map['get']('b') }}", "{{ map.keys() }}{{ map.values() }}{{ {'a': 1}.items() }}", "{{ map.keys()|list }}{{ map.values()|list|length }}{{ map.items()|list|first }}", "{{ map.items()|length }}", "{% for k, v in map.items() if v != 2 %}{{ k }}{% endfor %}", "{% set l = [1] %}{{ l.append(2) }}{{ l }}{% set _ = l.extend([3, 4]) %}{{ l }}{% set _ = l.insert(0, 'x') %}{{ l }}{{ l.pop() }}{{ l.pop(0) }}{{ l }}{{ l.index(2) }}{{ l.count(1) }}", "{% set d = {'a': 1} %}{% set _ = d.update({'b': 2}) %}{{ d }}{{ d.pop('a') }}{{ d }}{{ d.setdefault('c', 3) }}{{ d.pop('zz', 'none') }}{% set _ = d.update(e=5) %}{{ d }}", "{{ (1, 2, 1).count(1) }}{{ (1, 2).index(2) }}", "{{ 'a' in map.keys() }}{{ 1 in map.values() }}", "{{ {}.pop('a') }}", "{{ [].pop() }}", "{{ map.keys()|sort|join(',') }}", "{{ dict(a=1, b='x') }}{{ dict({'k': 1}, z=2) }}{{ dict() }}", "{% set m = {'x': {'get': 'g'}} %}{{ m.x['get'] }}"],
    "functions": ["{{ raise_exception('No ' ~ name) }}", "{{ strftime_now('%d %B %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%b %A %j %p %I %y') }}", "{{ namespace(a=1).a }}", "{% if no %}{{ raise_exception('never') }}{% endif %}fine", "{{ range('a') }}"],
    "errors": ["{% if %}", "{{ 1 + }}", "{% for x %}{% endfor %}", "{% endif %}", "{% if yes %}", "{{ 'open }}", "{{ (1 }}", "{# open", "{% nosuch %}", "{{ a b }}", "{% set 1 = 2 %}", "{{ 1 is }}", "{{ | upper }}", "{% for true in x %}{% endfor %}", "{{ [1, 2 }}", "{{ {1} }}", "{% break %}", "{{ ] }}", "{{ 'a' | }}", "{% macro m(a=1, b) %}{% endmacro %}", "{% raw %} x", "{{ $ }}", "{% else %}", "{% if yes %}{% endfor %}", "{{", "{%", "{% set x %}", "{{ f(a=1, 2) }}", "{{ not }}", "{{ a.b. }}", "{{ x[ }}"],
    "a small template": ["{%- if messages is not defined %}{% set messages = [{'role': 'system', 'content': 'S'}, {'role': 'user', 'content': [{'type': 'text', 'text': 'U'}]}] %}{% endif %}\n{%- for m in messages %}\n    {%- if m.role == 'system' %}\n        {{- '<|system|>\\n' + m.content + '\\n' }}\n    {%- elif m.content is string %}\n        {{- m.content }}\n    {%- else %}\n        {%- for part in m.content %}\n            {{- part['text'] if part['type'] == 'text' else raise_exception('no') }}\n        {%- endfor %}\n    {%- endif %}\n{%- endfor %}\n{{- '<|assistant|>\\n' if add_generation_prompt is defined else '' }}\n"],
}


def cases():
    for group, templates in CONSTRUCTS.items():
        for number, text in enumerate(templates, 1):
            case = {"name": f"{group} {number}", "template": text}
            result = render(text, DATA)
            # Python's words for what went wrong are its own; that something did is the fact.
            case.update({"error": True} if "error" in result else result)
            yield case


# Conversations whose texts are kept; tests/model/chat/jinja_test.py tries all of them where python3-jinja2 is.
TOLD = ["turns", "system", "thinking", "calling", "two calls", "documents", "wrong order"]


def family_cases():
    """What fixtures/chat/templates print: templates in the manner of published ones."""
    for path in sorted((ROOT / "fixtures/chat/templates").glob("*.jinja")):
        for name in TOLD:
            yield {"template": path.name, "conversation": name, **render(path.read_text(), conversations.variables(name))}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is not what would be written")
    options = parser.parse_args()
    made = {
        "constructs.json": {"variables": DATA, "cases": list(cases())},
        "families.json": {"conversations": {name: conversations.variables(name) for name in TOLD}, "cases": list(family_cases())},
    }
    wrong = 0
    for name, content in made.items():
        path = ROOT / "fixtures/chat" / name
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        if options.check:
            same = path.exists() and path.read_text() == text
            print(f"{name} is up to date" if same else f"{name} differs: run scripts/make_chat_fixtures.py")
            wrong += not same
            continue
        path.write_text(text)
        print(f"{path.relative_to(ROOT)}: {len(content['cases'])} cases")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
