"""Who somebody is and what they may, by what an OpenID Connect provider says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: letters that a provider may know somebody by (OpenID Connect Core 1.0 §2), and letters of a name that are shown
LONGEST_SUBJECT, LONGEST_NAME = 255, 80
#: what cannot be read in two ways within `issuer#subject`
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:@|/+=,!$&*;")


def said(claims: Mapping[str, object], claim: str) -> object:
    """What stands under a name; dots lead inwards where no claim is called so. None where nothing does.

    Examples:
        >>> said({"realm_access": {"roles": ["a"]}, "https://x.example/roles": ["b"]}, "realm_access.roles")
        ['a']
        >>> said({"https://x.example/roles": ["b"]}, "https://x.example/roles")
        ['b']
    """
    if claim in claims:
        return claims[claim]
    found: object = claims
    for part in claim.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def groups(claims: Mapping[str, object], claim: str) -> frozenset[str]:
    """What somebody belongs to; a provider that finds one may say it as a text and not as a list.

    Examples:
        >>> sorted(groups({"groups": ["/a", "b", 7, None]}, "groups")), sorted(groups({"groups": "a b"}, "groups"))
        (['/a', 'b'], ['a b'])
    """
    found = said(claims, claim)
    listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(one for one in listed if isinstance(one, str) and one)


def roles(held: frozenset[str], wanted: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The roles that groups give, letter by letter: a name that differs in case is another group.

    Examples:
        >>> roles(frozenset({"Leads"}), {"viewer": ["Staff", "Leads"], "approver": ["Leads"], "admin": ["leads"]})
        ('viewer', 'approver')
    """
    return tuple(role for role, names in wanted.items() if held & {*names})


def is_left_out(claims: Mapping[str, object], claim: str) -> bool:
    """Whether the provider says that there are groups and that they are elsewhere: Entra, of more than 200 of them.

    Examples:
        >>> is_left_out({"_claim_names": {"groups": "src1"}}, "groups"), is_left_out({"hasgroups": True}, "groups")
        (True, True)
        >>> is_left_out({"groups": []}, "groups")
        False
    """
    elsewhere = claims.get("_claim_names")
    named = isinstance(elsewhere, Mapping) and claim in elsewhere
    return named or (claim == "groups" and claims.get("hasgroups") in {True, "true"})


def name_of(issuer: str, subject: str, shown: object) -> str:
    """How a person is called here: as people read it, and as the provider knows them for ever.

    Examples:
        >>> name_of("https://id.example", "00u1", "ada@example.com")
        'ada@example.com <https://id.example#00u1>'
        >>> name_of("https://id.example", "a >", "<Ada (os)> ")
        'Ada os <https://id.example#a%20%3E>'
    """
    text = shown if isinstance(shown, str) else ""
    plain = " ".join("".join(one for one in text if one.isprintable() and one not in "<>()").split())[:LONGEST_NAME]
    kept = "".join(one if one in _PLAIN else "".join(f"%{byte:02X}" for byte in one.encode()) for one in subject)
    return f"{plain.strip() or 'somebody'} <{issuer}#{kept}>"
