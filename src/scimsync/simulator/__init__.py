"""Genesys Cloud in a box: a SCIM service on a real socket, for rehearsals, tests and first steps."""
