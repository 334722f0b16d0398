"""The filled engine, whose builds and apps write whatever could become markup.

MIST_ENGINE=tests.browser.hostile.
"""

from __future__ import annotations

from tests.browser import filled

MARK = "window.executed=(window.executed||0)+1"
EVIL = [
    f"<script>{MARK}</script>",
    f"<img src=x onerror={MARK}>",
    f"<svg/onload={MARK}>",
    f"\"'><script>{MARK}</script>",
    f"\x1b[31m<script>{MARK}</script>\x1b[0m",
    f"\x1b]8;;javascript:{MARK}\x07click\x1b]8;;\x07",
    f'\x1b[31;"onmouseover={MARK};m<b onclick={MARK}>x</b>',
    f"</script></textarea></title></style><script>{MARK}</script>",
    "<iframe srcdoc='<script>parent.executed=1</script>'></iframe><base href=//evil.example>",
    f"<div hx-get=/x hx-trigger=load hx-on:htmx:load={MARK} data-hx-on-load={MARK}>x</div>",
    f"&lt;script&gt;{MARK}&lt;/script&gt; &#60;script&#62;{MARK}&#60;/script&#62;",
    "{{ 7*7 }} {% debug %} ${7*7}",
]
filled.OUTPUT[:] = EVIL
filled.BUILD[:] = [f"#5 [{n}/9] {line}" for n, line in enumerate(EVIL)] + EVIL
make_engine = filled.make_engine
