"""Look for the account of a person who should have none: before it is made, and after an answer that proves nothing.

Asked by filter, path by path as `[correlation] match` has them, up to the first that finds somebody. Where
the target takes no filter on a path, it is not asked again in this run, and the listing must do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, field

from scimsync.engine.ports import Clock, Target
from scimsync.errors import FilterRefused
from scimsync.model.outcomes import Reply
from scimsync.model.plans import Delta
from scimsync.scim.schema import Place

LOGIN = "userName"
#: a wait of more seconds is told while it lasts
TOLD_S = 10.0
#: seconds after which a search that lags is asked once more, where another answer can be had than from waiting
SOON_S = 2.0


class Hit(Struct, frozen=True):
    """What one path found: at least one account."""

    path: str
    accounts: Sequence[Reply]


class Search(Struct):
    """Looks for accounts at one target during one run."""

    target: Target
    clock: Clock
    #: where to look, in this order
    places: Sequence[Place]
    #: told of what cannot be asked
    say: Callable[[str], None]
    #: seconds after which a search is asked again, because it lags behind the writes
    lag_s: Sequence[float] = ()
    _deaf: set[str] = field(default_factory=set)

    async def person(self, deltas: Iterable[Delta], *, login: bool = True) -> Hit | None:
        """The accounts that hold what a person is matched by, on the first path that finds any.

        Args:
            deltas: What a new account would hold.
            login: Whether the login is asked for too, whatever `match` says.

        Raises:
            TargetError: The question could not be answered now.
        """
        wanted = {delta.path: delta.sides.desired for delta in deltas}
        asked = {
            place.root: str(wanted[place.short]) for place in self.places if place.is_filter and wanted.get(place.short)
        }
        if not login:
            asked.pop(LOGIN, None)
        elif wanted.get(LOGIN):
            asked.setdefault(LOGIN, str(wanted[LOGIN]))
        for root, value in asked.items():
            if found := await self._find(root, value):
                return Hit(root, found)
        return None

    async def surely(self, deltas: Iterable[Delta]) -> Hit | None:
        """As `person`, where the listing proves nothing: each path is asked for, and each answer must prove something.

        Raises:
            FilterRefused: Some path cannot be asked for, or its answer does not prove who has the value.
            TargetError: The question could not be answered now.
        """
        wanted = {delta.path: delta.sides.desired for delta in deltas}
        asked = {}
        for place in self.places:
            value = wanted.get(place.short)
            if value is not None and not place.is_filter:
                raise FilterRefused(f"No filter asks for {place.short}.")
            if value is not None:
                asked[place.root] = str(value)
        if wanted.get(LOGIN):
            asked.setdefault(LOGIN, str(wanted[LOGIN]))
        for root, value in asked.items():
            if found := await self.target.find(root, value, sure=True):
                return Hit(root, found)
        return None

    async def briefly(self, deltas: Sequence[Delta]) -> Hit | None:
        """The same, and where a search lags once more a moment later: whoever is not found may be there."""
        if (hit := await self.person(deltas)) is not None or not self.lag_s:
            return hit
        await self.clock.sleep(min(SOON_S, *self.lag_s))
        return await self.person(deltas)

    async def patiently(self, deltas: Sequence[Delta]) -> Hit | None:
        """The same, several times where a search may lag behind what was written."""
        for wait in (0.0, *self.lag_s):
            if wait > TOLD_S:
                self.say(
                    f"Whether an account was made is unknown; as the search lags, it is asked again in {wait:.0f} s."
                )
            if wait:
                await self.clock.sleep(wait)
            if (hit := await self.person(deltas)) is not None:
                return hit
        return None

    async def _find(self, root: str, value: str) -> Sequence[Reply]:
        if root in self._deaf:
            return ()
        try:
            return await self.target.find(root, value)
        except FilterRefused as error:
            self._deaf.add(root)
            self.say(f"{error} Who has an account is known from the listing alone.")
            return ()
