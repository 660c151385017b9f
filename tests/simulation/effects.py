"""What decisions and holds are held against: a decision that was not overtaken takes effect, a hold has its reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pagebind.core import decisions, keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.drive import Pages
    from tests.simulation.rules import Rules

    from pagebind.core.keys import DecisionMark


class Decided(NamedTuple):
    """A decision of an operator that was written down.

    Attributes:
        when: that was.
        mark: which.
        waived: name, size and mark of each file that the book may go without.
        failed: what stood under the names of the pages that had failed, and were not here.
        listed: names of the pages of the newest listing.
    """

    when: float
    mark: DecisionMark
    waived: frozenset[tuple[str, int, str]]
    failed: Pages
    listed: frozenset[str]

    @property
    def order(self) -> tuple[int, float]:
        """Two operators at once may give one number to two decisions: the later one is the newer."""
        return self.mark.number, self.when


def decided(rules: Rules, path: str, mark: DecisionMark, content: bytes) -> Decided:
    """What was decided about a volume, as it is at this moment."""
    waived = frozenset((name, size, about) for name, size, about in json.loads(content)["pages"])
    volume = keys.volume_id(path)
    found = (json.loads(rules.work.get(info.key)) for info in rules.work.list(f"{keys.FAILURES}{volume}/"))
    names = {document["path"].rpartition("/")[2] for document in found}
    failed = {name: data for name, data in rules.drive.pages(path).items() if name in names}
    return Decided(rules.schedule.now, mark, waived, failed, frozenset(rules.newest_pages(volume)))


def kind_of(mark: DecisionMark) -> str:
    """What operators call it."""
    return "delete" if mark.kind == "forget" and mark.subject else mark.kind.replace("-", "_")


def newest(rules: Rules, volume: str, *kinds: str) -> Decided | None:
    """The newest decision of these kinds about a volume."""
    made = [one for one in rules.decided[volume] if one.mark.kind in kinds]
    return max(made, key=lambda one: one.order, default=None)


def is_forgotten(rules: Rules, volume: str) -> Decided | None:
    """The decision by which a volume is left alone, if it is."""
    last = newest(rules, volume, "retry", "forget")
    return last if last is not None and last.mark.kind == "forget" else None


def held_as(said: Mapping[str, Any]) -> str:
    """What a poll says that a volume is held for; empty: it is not."""
    return str(said["problem"]["code"]) if said["state"] == "held" else ""


def decision_takes_effect(rules: Rules, path: str, told: Mapping[str, Mapping[str, Any]]) -> str:
    """A decision that was accepted, and not overtaken, has taken effect three polls later."""
    volume = keys.volume_id(path)
    said = told.get(volume)
    if said is None or not rules.decided[volume]:
        return ""
    forgotten = is_forgotten(rules, volume)
    if forgotten is not None:
        return _not_left_alone(rules, path, said, forgotten)
    retried = newest(rules, volume, "retry")
    if said["state"] == "ignored" and retried is not None:
        return f"{path} was taken back, and is ignored: {said['reason']}"
    if retried is not None and (held_as(said) or "page_failed") == "page_failed" and said["state"] != "bound":
        never = [name for name in _to_be_asked_for(rules, path, retried) if not _asked(rules, path, name, retried.when)]
        if never:
            return f"{path} was to be tried again, and nobody asked for {', '.join(never)}"
    code = held_as(said)
    lifting = _LIFTED[code](rules, path, said["key"]) if code in _LIFTED else None
    if lifting is not None:
        return f"{path}: {kind_of(lifting.mark)} was decided, and it is still held as {code}: {said['reason']}"
    return ""


def _not_left_alone(rules: Rules, path: str, said: Mapping[str, Any], forgotten: Decided) -> str:
    if said["state"] != "ignored":
        return f"{path} was forgotten, and is {said['state']}: {said['reason']}"
    if forgotten.mark.subject and rules.book(said["key"]) is not None:
        return f"{path} was forgotten with its book, which still stands"
    return ""


def _to_be_asked_for(rules: Rules, path: str, retried: Decided) -> list[str]:
    """Pages that had failed when it was decided to try again, still stand there, and are neither here nor waived."""
    volume = keys.volume_id(path)
    waived, listed, ids = rules.waived(volume), rules.drive.pages(path), rules.newest_pages(volume)
    return [
        name
        for name, data in sorted(retried.failed.items())
        if listed.get(name) == data
        and name not in waived
        and name in ids
        and rules.work.head(keys.entry_key(volume, ids[name])) is None
    ]


def _asked(rules: Rules, path: str, name: str, since: float) -> bool:
    return any(when > since for when in rules.drive.asked[f"{path}/{name}"])


def _lifts_shrunk(rules: Rules, path: str, key: str) -> Decided | None:
    """The decision that the newest listing is right, if nothing else was seen since."""
    del key
    volume = keys.volume_id(path)
    accepted, listed = newest(rules, volume, "accept-shrink"), rules.newest_listing(volume)
    if accepted is None or listed is None or listed.revision != accepted.mark.subject:
        return None
    return accepted if listed.created <= accepted.when else None


def _lifts_failed(rules: Rules, path: str, key: str) -> Decided | None:
    """The decision to go without what is missing, if that is all that is."""
    del key
    volume = keys.volume_id(path)
    waiving, waived = newest(rules, volume, "without-missing"), rules.waived(volume)
    if rules.is_nothing_left(volume):
        return None  # a book needs a page
    given_up = {name for name in rules.drive.pages(path) if has_failed_for_good(rules, path, name)}
    return waiving if waived and given_up <= waived else None


def _lifts_standing(rules: Rules, path: str, key: str) -> Decided | None:
    """The decision that ours goes over what stands there, or where nothing does, if that was the last that happened."""
    standing = rules.library.head(key)
    wanted = keys.version_digest(standing.version) if standing else decisions.ABSENT
    made = [one for one in rules.decided[keys.volume_id(path)] if one.mark.kind == "replace"]
    return next((d for d in made if d.mark.subject == wanted and d.when > rules.meddled_at.get(key, 0.0)), None)


_LIFTED = {
    "shrunk": _lifts_shrunk,
    "page_failed": _lifts_failed,
    "foreign": _lifts_standing,
    "changed": _lifts_standing,
    "removed": _lifts_standing,
}


def has_failed_for_good(rules: Rules, path: str, name: str) -> bool:
    """Whether a file failed as often, and for as long, as it takes, since it was last decided to try again."""
    retried = newest(rules, keys.volume_id(path), "retry")
    since = retried.when if retried else 0.0
    failed = [when for when in rules.drive.failed[f"{path}/{name}"] if when > since]
    policy = rules.policy
    return len(failed) >= policy.give_up_epochs and rules.schedule.now - min(failed) >= policy.give_up_after


def reason_is_true(rules: Rules, path: str, said: Mapping[str, Any]) -> str:
    """A volume is held for what is so now."""
    code, key, volume = held_as(said), said["key"], keys.volume_id(path)
    standing, meddled = rules.library.head(key), rules.meddled[key]
    pages = rules.drive.pages(path)
    accepted = newest(rules, volume, "accept-shrink")
    seen = rules.seen_since(path, accepted.when) | accepted.listed if accepted else rules.seen_since(path, 0.0)
    waived, nothing_left = rules.waived(volume), rules.is_nothing_left(volume)
    true = {
        "shrunk": bool(seen - pages.keys()),
        "page_failed": nothing_left or any(has_failed_for_good(rules, path, name) for name in pages.keys() - waived),
        "foreign": standing is not None and standing.version in meddled,
        "changed": standing is not None and standing.version in meddled,
        "removed": standing is None and bool(meddled),
    }
    return "" if true.get(code) else f"{path} is held as {code}, which is not so: {said['reason']}"
