"""The use cases as every front door offers them: a command, a library, a page. One noun a file."""
