"""The sources of a mapping, by the names that stand before a point in it: `ad.mail` is the column mail of ad."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from scimsync.workbench.statuses import Tree


class Sources(Struct, frozen=True):
    """How sources are called in expressions."""

    #: the source whose records are the people; its columns may stand without a name before them
    primary: str = ""
    #: those that are joined to it; of each, the column x is the column "NAME.x" of the table of records
    joined: tuple[str, ...] = ()
    #: those of them that could not be read, so that nobody knows their columns
    absent: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """All of them, in small letters."""
        return frozenset(name.lower() for name in (self.primary, *self.joined) if name)

    def of(self, columns: Iterable[str]) -> frozenset[str]:
        """The joined sources that columns are of."""
        given = {name.lower(): name for name in self.joined}
        found = (given.get(column.partition(".")[0].lower()) for column in columns if "." in column)
        return frozenset(name for name in found if name is not None)

    def is_absent(self, column: str) -> bool:
        """Whether a column is of a source that could not be read."""
        return bool(self.of([column]) & self.absent)


#: one source, and no name for it
ONE = Sources()


def bare(node: Tree, sources: Sources) -> Tree:
    """A tree in which each column has one name: its own in the primary source, else with its source before it."""
    names = node.get("column_names")
    if node.get("class") == "COLUMN_REF" and isinstance(names, list) and len(names) == 2:
        source, column = map(str, names)
        if source.lower() == sources.primary.lower():
            return {**node, "column_names": [column]}
        if source.lower() in sources.names:
            return {**node, "column_names": [f"{source}.{column}"]}
        return node
    return {key: _bare(member, sources) for key, member in node.items()} if sources.names else node


def _bare(member: object, sources: Sources) -> object:
    if isinstance(member, list):
        return [_bare(one, sources) for one in member]
    return bare(member, sources) if isinstance(member, dict) else member
