"""What is hidden in an app's logs: every value that it has, and that its deployment had."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.db.models import Value

from apps.deployments import changes
from apps.deployments.models import Deployment
from apps.engine.data import OutputLine
from apps.engine.errors import SecretsUnreadable
from apps.engine.masking import Masker, Masking
from apps.projects.models import EnvironmentVariable, SharedVariable
from apps.projects.references import fill_in, references


def masker_of(deployment: Deployment, *also: str) -> Masker:
    """Hides the values of then, which its containers have, and of now: one that was replaced is no
    less a secret. `also` are others that the work knows. Raises `SecretsUnreadable`."""
    return _masker(frozenset((*_values(deployment), *also)))


def masker_or_none(deployment: Deployment) -> Masker:
    """For the log of a deployment that will fail over unreadable secrets: it can say nothing that
    it cannot read."""
    try:
        return masker_of(deployment)
    except SecretsUnreadable:
        return Masker(())


def _values(deployment: Deployment) -> Iterator[str]:
    """One query: pages of logs have enough of them."""
    own = EnvironmentVariable.objects.filter(app=deployment.app_id).order_by()
    shared = SharedVariable.objects.filter(project__apps=deployment.app_id).order_by()
    then = Deployment.objects.filter(pk=deployment.pk).order_by()
    rows = list(
        own.annotate(kind=Value("own"))
        .values_list("kind", "name", "value")
        .union(
            shared.annotate(kind=Value("shared")).values_list("kind", "name", "value"),
            then.annotate(kind=Value("then"), name=Value("")).values_list(
                "kind", "name", "variables"
            ),
            all=True,
        )
    )
    names = {name: value for kind, name, value in rows if kind == "shared"}
    for kind, _, value in rows:
        if kind == "then":
            yield from (variable.value for variable in changes.unpack_variables(value))
            continue
        yield value
        if kind == "own" and set(references(value)) & names.keys():
            known = defaultdict(str, names)
            yield fill_in(value, known)


@functools.lru_cache(maxsize=64)
def _masker(values: frozenset[str]) -> Masker:
    return Masker(values)


def hidden(lines: Iterable[OutputLine], masker: Masker) -> Iterator[OutputLine]:
    """The lines of a container with known values hidden, those of each stream by themselves."""
    if not masker:
        yield from lines
        return
    stream = Masking(masker)
    for line in lines:
        yield from masked(stream, line)
    yield from settled(stream)


def masked(stream: Masking, line: OutputLine) -> list[OutputLine]:
    """One more line into the stream; those that are ready."""
    return _out(stream.feed(line.text, tag=line, track=line.stream))


def settled(stream: Masking) -> list[OutputLine]:
    return _out(stream.settle())


def _out(ready: list[tuple[OutputLine, str]]) -> list[OutputLine]:
    return [line if text is line.text else line._replace(text=text) for line, text in ready]
