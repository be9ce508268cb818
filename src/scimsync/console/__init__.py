"""The web console: parse a request, call a service, show a page. A door beside the command line."""
