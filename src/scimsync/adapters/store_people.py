"""Links, references that wait, and memberships, in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from itertools import islice, starmap

import sqlalchemy as sa
from msgspec.structs import asdict

from scimsync.adapters.store_connections import CHUNK, Connections
from scimsync.adapters.store_tables import (
    ACCEPTANCE,
    DEFERRED,
    ENDING,
    GROUP_NAME,
    GROUP_PARTIAL,
    LINK,
    LINK_DECISION,
    MEMBERSHIP,
    SOURCE,
    SUSPECT,
    UNDONE,
    UNSHOWN,
)
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.outcomes import Acceptance, Deferred, Ending, Link, LinkDecision, Suspect, Undone, Unshown


class People(Connections):
    """Whose account is whose."""

    def links(self) -> Iterator[Link]:
        """All links, read as they are walked."""
        with self._texts(sa.select(LINK.c.key, LINK.c.account, LINK.c.source)) as rows:
            yield from starmap(Link, rows)

    def owner_of(self, account: str) -> str | None:
        """The key that an account is linked to."""
        with self._reading() as connection:
            found = connection.execute(sa.select(LINK.c.key).where(LINK.c.account == account).limit(1)).scalar()
            return None if found is None else str(found)

    def save_links(self, links: Iterable[Link], released: Collection[str] = ()) -> Sequence[Link]:
        """Insert or replace links; those to accounts of other keys, which were not released, are given back."""
        waiting, refused = iter(links), list[Link]()
        with self._writing() as connection:
            while chunk := list(islice(waiting, CHUNK)):
                refused += self._take_in(connection, chunk, frozenset(released))
        return refused

    def _take_in(self, connection: sa.Connection, links: Sequence[Link], released: Set[str]) -> list[Link]:
        """Write some links; give back those that would take an account from its owner."""
        keys, accounts = [link.key for link in links], [link.account for link in links]
        known = sa.select(LINK).where(LINK.c.key.in_(keys) | LINK.c.account.in_(accounts))
        held = {row.key: row.account for row in connection.execute(known)}
        owners = {account: key for key, account in held.items()}
        taken, gone, refused = dict[str, Link](), set[str](), list[Link]()
        for link in links:
            owner = owners.get(link.account, link.key)
            if owner not in {link.key, *released}:
                refused.append(link)
                continue
            if owner != link.key:
                gone.add(owner)
                taken.pop(owner, None)
                held.pop(owner, None)
            if (former := held.get(link.key)) is not None:
                owners.pop(former, None)
            taken[link.key], held[link.key], owners[link.account] = link, link.account, link.key
        if gone:
            connection.execute(sa.delete(LINK).where(LINK.c.key.in_(gone)))
        if taken:
            connection.execute(self._upsert(LINK), [asdict(link) for link in taken.values()])
            self._note_sources(connection, {link.source for link in taken.values()})
        return refused

    def decide_link(self, decision: LinkDecision) -> None:
        """Keep that a record and an account are one person, or are not, and make the links so, in one commit."""
        former = sa.delete(LINK).where(LINK.c.account == decision.account)
        if not decision.same:
            former = former.where(LINK.c.key == decision.key)
        with self._writing() as connection:
            connection.execute(sa.insert(LINK_DECISION).values(**asdict(decision)))
            connection.execute(former)
            if decision.same:
                link = Link(decision.key, decision.account, decision.source)
                connection.execute(self._upsert(LINK), [asdict(link)])
                self._note_sources(connection, {link.source})

    def link_decisions(self) -> Sequence[LinkDecision]:
        """All of them, oldest first."""
        with self._rows(sa.select(LINK_DECISION).order_by(LINK_DECISION.c.seq)) as rows:
            return [LinkDecision(**{name: row[name] for name in row if name != "seq"}) for row in rows]

    def take_links(self, former: str, source: str) -> None:
        """Give all links of one source to another."""
        with self._writing() as connection:
            connection.execute(sa.update(LINK).where(LINK.c.source == former).values(source=source))
            self._note_sources(connection, {source})

    def sources(self) -> frozenset[str]:
        """The sources that have, or ever had, a link."""
        with self._reading() as connection:
            return frozenset(connection.scalars(sa.select(SOURCE.c.name)))

    def _note_sources(self, connection: sa.Connection, names: Iterable[str]) -> None:
        if named := [{"name": name} for name in sorted(names) if name]:
            connection.execute(self._insert_once(SOURCE), named)

    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        with self._rows(sa.select(DEFERRED).order_by(DEFERRED.c.key, DEFERRED.c.path)) as rows:
            for row in rows:
                yield Deferred(**row)

    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones and remember those that wait; one that waits already stays as it is."""
        gone = ({"k": key, "p": path} for key, path in settled)
        rows = (asdict(edge) for edge in waiting)
        table = DEFERRED
        forget = sa.delete(table).where(table.c.key == sa.bindparam("k"), table.c.path == sa.bindparam("p"))
        remember = self._upsert(table)
        with self._writing() as connection:
            while chunk := list(islice(gone, CHUNK)):
                connection.execute(forget, chunk)
            known = {(row.key, row.path, row.awaits) for row in connection.execute(sa.select(table))}
            fresh = (row for row in rows if (row["key"], row["path"], row["awaits"]) not in known)
            while chunk := list(islice(fresh, CHUNK)):
                connection.execute(remember, chunk)

    def endings(self) -> Iterator[Ending]:
        """Since when the accounts of people are inactive, by key."""
        with self._rows(sa.select(ENDING).order_by(ENDING.c.key)) as rows:
            for row in rows:
                yield Ending(**row)

    def change_endings(self, add: Iterable[Ending], remove: Iterable[str] = ()) -> None:
        """Forget those of some keys, then remember others, in one transaction."""
        gone, rows = iter(remove), (asdict(ending) for ending in add)
        with self._writing() as connection:
            while keys := list(islice(gone, CHUNK)):
                connection.execute(sa.delete(ENDING).where(ENDING.c.key.in_(keys)))
            while chunk := list(islice(rows, CHUNK)):
                connection.execute(self._upsert(ENDING), chunk)

    def suspects(self) -> Iterator[Suspect]:
        """Who is missing from the source, and in how many readings, by key."""
        with self._rows(sa.select(SUSPECT).order_by(SUSPECT.c.key)) as rows:
            for row in rows:
                yield Suspect(**row)

    def change_suspects(self, add: Iterable[Suspect], remove: Iterable[str] = ()) -> None:
        """Forget those of some keys, then remember others, in one transaction."""
        gone, rows = iter(remove), (asdict(suspect) for suspect in add)
        with self._writing() as connection:
            while keys := list(islice(gone, CHUNK)):
                connection.execute(sa.delete(SUSPECT).where(SUSPECT.c.key.in_(keys)))
            while chunk := list(islice(rows, CHUNK)):
                connection.execute(self._upsert(SUSPECT), chunk)

    def unshown(self, keys: Collection[str] = ()) -> Iterator[Unshown]:
        """What was sent and taken and is never shown, of some people or of everybody, by key and path."""
        asked, wanted = sa.select(UNSHOWN).order_by(UNSHOWN.c.key, UNSHOWN.c.path), frozenset(keys)
        if 0 < len(wanted) <= CHUNK:
            asked = asked.where(UNSHOWN.c.key.in_(wanted))
        with self._rows(asked) as rows:
            for row in rows:
                if not wanted or row["key"] in wanted:
                    yield Unshown(**row)

    def change_unshown(self, add: Iterable[Unshown], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, path), then remember others, in one transaction."""
        gone, rows = ({"k": key, "p": path} for key, path in remove), (asdict(one) for one in add)
        table = UNSHOWN
        forget = sa.delete(table).where(table.c.key == sa.bindparam("k"), table.c.path == sa.bindparam("p"))
        with self._writing() as connection:
            while chunk := list(islice(gone, CHUNK)):
                connection.execute(forget, chunk)
            while chunk := list(islice(rows, CHUNK)):
                connection.execute(self._upsert(table), chunk)

    def undone(self) -> Sequence[Undone]:
        """What people took back though HR says otherwise, by key and path."""
        with self._rows(sa.select(UNDONE).order_by(UNDONE.c.key, UNDONE.c.path)) as rows:
            return [Undone(**row) for row in rows]

    def change_undone(self, add: Iterable[Undone], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, path), then remember others, in one transaction."""
        gone, rows = ({"k": key, "p": path} for key, path in remove), (asdict(one) for one in add)
        forget = sa.delete(UNDONE).where(UNDONE.c.key == sa.bindparam("k"), UNDONE.c.path == sa.bindparam("p"))
        with self._writing() as connection:
            while chunk := list(islice(gone, CHUNK)):
                connection.execute(forget, chunk)
            while chunk := list(islice(rows, CHUNK)):
                connection.execute(self._upsert(UNDONE), chunk)

    def acceptances(self) -> Sequence[Acceptance]:
        """The findings that people accepted, by key and kind."""
        with self._rows(sa.select(ACCEPTANCE).order_by(ACCEPTANCE.c.key, ACCEPTANCE.c.kind)) as rows:
            return [Acceptance(**row) for row in rows]

    def change_acceptances(self, add: Iterable[Acceptance], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, kind), then remember others, in one transaction."""
        table, gone, rows = ACCEPTANCE, [{"k": key, "i": kind} for key, kind in remove], [asdict(one) for one in add]
        with self._writing() as connection:
            if gone:
                named = sa.delete(table).where(table.c.key == sa.bindparam("k"), table.c.kind == sa.bindparam("i"))
                connection.execute(named, gone)
            if rows:
                connection.execute(self._upsert(table), rows)

    def memberships(self) -> Iterator[Membership]:
        """The memberships that both sides last agreed on, read as they are walked."""
        with self._rows(sa.select(MEMBERSHIP)) as rows:
            for row in rows:
                yield Membership(row["group_id"], row["account"])

    def change_memberships(self, add: Iterable[Membership], remove: Iterable[Membership]) -> None:
        """Take memberships into what was agreed, and out of it, in one transaction."""
        gone = sa.delete(MEMBERSHIP).where(
            MEMBERSHIP.c.group_id == sa.bindparam("group"), MEMBERSHIP.c.account == sa.bindparam("member")
        )
        former = ({"group": m.group, "member": m.account} for m in remove)
        fresh = ({"group_id": m.group, "account": m.account} for m in add)
        with self._writing() as connection:
            while chunk := list(islice(former, CHUNK)):
                connection.execute(gone, chunk)
            while chunk := list(islice(fresh, CHUNK)):
                connection.execute(self._insert_once(MEMBERSHIP), chunk)

    def group_memory(self) -> GroupMemory:
        """What earlier runs learned of groups."""
        with self._rows(sa.select(GROUP_NAME)) as rows:
            names = {row["name"]: row["group_id"] for row in rows}
        with self._rows(sa.select(GROUP_PARTIAL)) as rows:
            return GroupMemory(names=names, partial={row["group_id"]: row["shown"] for row in rows})

    def remember_groups(self, memory: GroupMemory) -> None:
        """Remember this of groups, in place of what was remembered before."""
        with self._writing() as connection:
            for table, rows in (
                (GROUP_NAME, [{"name": name, "group_id": group} for name, group in memory.names.items()]),
                (GROUP_PARTIAL, [{"group_id": group, "shown": shown} for group, shown in memory.partial.items()]),
            ):
                connection.execute(sa.delete(table))
                if rows:
                    connection.execute(sa.insert(table), rows)
