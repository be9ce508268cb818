"""The composition root of places: how the file of a source is reached where it lies on no disk of this machine."""

from __future__ import annotations

from scimsync.adapters.source_place import Enter
from scimsync.config import SourceSettings


def entrance(given: SourceSettings, url: str) -> Enter:
    """How the place of a file is entered."""
    place, access = given.place, given.access
    scheme = url.partition(":")[0].lower()
    if scheme == "sftp":
        from scimsync.adapters.source_place_sftp import Sftp  # noqa: PLC0415 - few need it

        return Sftp(
            url=url,
            username=access.username,
            password=access.password,
            known_hosts=place.known_hosts,
            host_key=place.host_key,
            key_file=place.key_file,
        ).enter
    if scheme in {"https", "http"}:
        from scimsync.adapters.source_place_https import Https  # noqa: PLC0415 - few need it

        return Https(
            url=url,
            username=access.username,
            password=access.password,
            token=access.token,
            header=access.header,
            header_value=access.header_value,
            ca_file=access.ca_file,
        ).enter
    from scimsync.adapters.source_place_objects import Objects  # noqa: PLC0415 - few need it

    return Objects(
        url=url,
        username=access.username,
        password=access.password,
        token=access.token,
        key_file=place.key_file,
        endpoint=place.endpoint,
        region=place.region,
        ca_file=access.ca_file,
    ).enter
