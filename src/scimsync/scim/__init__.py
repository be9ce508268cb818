"""The protocol, RFC 7643 and RFC 7644: schemas, paths, PATCH, messages. Nothing about synchronising."""
