"""What the Platform API keeps of a person and SCIM does not know: employer, locations, work team, invitations.

Employer and locations stand in the directory record and move its version (inferred); a work team is a service of its
own (genesys-scim.md §16, the models of the SDKs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from scimsync.simulator.answers import Refused
from scimsync.simulator.entities import JsonObject
from scimsync.simulator.people import identifier

LOCATIONS = ("Indianapolis", "Dublin", "Cologne", "Sydney")
TEAMS = ("Claims", "Billing", "Second Line")
#: of `EmployerInfo`, what SCIM has no name for
OWN = ("officialName", "employeeType")


def _named(kind: str, names: Sequence[str]) -> dict[str, str]:
    return {identifier(f"{kind}:{name}"): name for name in names}


class Beside(Struct):
    """Locations and work teams by id, and what people have, by user id."""

    locations: dict[str, str] = field(default_factory=lambda: _named("locations", LOCATIONS))
    teams: dict[str, str] = field(default_factory=lambda: _named("teams", TEAMS))
    #: user id -> `officialName`, `employeeType`, `locations`, `team` (an id)
    held: dict[str, JsonObject] = field(default_factory=dict)
    #: user ids, one for each mail
    invited: list[str] = field(default_factory=list)

    def of(self, user: str) -> Mapping[str, object]:
        """What one person has."""
        return self.held.get(user, {})

    def write(self, user: str, body: Mapping[str, object]) -> bool:
        """Take `employerInfo` and `locations` of a PATCH; whether anything changed. An object is taken whole (a guess).

        Raises:
            Refused: 400; a location does not exist, or something is not of its type.
        """
        before = dict(self.of(user))
        after = dict(before)
        if "employerInfo" in body:
            given = body["employerInfo"]
            if not isinstance(given, Mapping) or not all(isinstance(v, str | None) for v in given.values()):
                raise Refused(400, "employerInfo is an object of texts.")
            after |= {part: given.get(part) for part in OWN}
        if "locations" in body:
            given = body["locations"]
            places = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
            if not isinstance(given, list) or any(one.get("id") not in self.locations for one in places):
                raise Refused(400, "There is no such location.")
            after["locations"] = places
        after = {name: value for name, value in after.items() if value not in (None, "", [])}
        self.held[user] = after
        return after != before

    def join(self, team: str, users: Sequence[str]) -> list[JsonObject]:
        """Put people into a work team; who is in another is a failure (documented: one work team a person).

        Raises:
            Refused: 404; there is no such team.
        """
        self.team(team)
        failures: list[JsonObject] = []
        for user in users:
            if self.of(user).get("team") not in {None, team}:
                failures.append({"id": user, "reason": "The user is a member of another team."})
            else:
                self.held[user] = {**self.of(user), "team": team}
        return failures

    def leave(self, team: str, users: Sequence[str]) -> None:
        """Take people out of a work team.

        Raises:
            Refused: 404; there is no such team.
        """
        self.team(team)
        for user in users:
            if self.of(user).get("team") == team:
                self.held[user] = {name: value for name, value in self.of(user).items() if name != "team"}

    def team(self, id_: str) -> str:
        """The name of a work team.

        Raises:
            Refused: 404; there is none of this id.
        """
        if id_ not in self.teams:
            raise Refused(404, "There is no team with this id.")
        return self.teams[id_]

    def shown(self, user: str, shared: JsonObject, expand: frozenset[str]) -> JsonObject:
        """The members of a `User` that `expand` asks for.

        Args:
            user: The id.
            shared: Of `employerInfo` what SCIM has too.
            expand: What is asked for.
        """
        held = self.of(user)
        found: JsonObject = {}
        if "employerInfo" in expand:
            found["employerInfo"] = {**shared, **{part: held[part] for part in OWN if part in held}}
        if "locations" in expand:
            listed = held.get("locations")
            found["locations"] = [
                {**one, "locationDefinition": {"id": one["id"], "name": self.locations[one["id"]]}}
                for one in (listed if isinstance(listed, list) else [])
            ]
        if "dateWelcomeSent" in expand and user in self.invited:
            found["dateWelcomeSent"] = "2026-11-01T08:00:00.000Z"
        if "team" in expand and "team" in held:
            found["team"] = {"id": held["team"], "name": self.teams[str(held["team"])]}
        return found
